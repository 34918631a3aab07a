//! Devices that come in by themselves, with nobody else online.

use crate::world::*;
use fastchat_e2e::{
    ConversationId,
    groups::{Error, What},
    log::HeadCheck,
    mls::{GroupError, Intent, Kind, Violation},
};

#[test]
fn a_new_device_comes_in_by_itself_and_all_read_one_another() {
    for kind in [Kind::Direct, Kind::Group] {
        let person = Person::new("bob");
        let mut devices = [Device::new("alice"), Device::of(&person)];
        let (chat, mut log) = conversation(kind, &mut devices);
        let [alice, bob] = &mut devices;
        let mut phone = Device::of(&person);
        phone.comes_in(chat, &mut log);
        phone.say(chat, "here I am");
        phone.send(&mut log);
        for device in [&mut *alice, &mut *bob] {
            let got = device.sync(chat, &log);
            assert!(
                got.iter()
                    .any(|one| matches!(&one.what, What::Commit { applied, .. } if applied.added == [phone.me()] && applied.author.who == phone.me())),
                "they see which device came"
            );
            assert_eq!(texts(&got), ["here I am"]);
        }
        alice.say(chat, "welcome");
        alice.send(&mut log);
        assert_eq!(texts(&bob.sync(chat, &log)), ["welcome"]);
        assert_eq!(texts(&phone.sync(chat, &log)), ["welcome"]);
        assert_eq!(alice.accounts(chat).len(), 3, "three leaves");
    }
}

#[test]
fn who_came_in_by_itself_believes_the_first_head_and_compares_from_then_on() {
    let person = Person::new("bob");
    let mut devices = [Device::new("alice"), Device::of(&person)];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    let mut phone = Device::of(&person);
    phone.comes_in(chat, &mut log);
    // Two in a row: the second one's head is compared.
    alice.sync(chat, &log);
    for body in ["one", "two"] {
        alice.say(chat, body);
        alice.send(&mut log);
        alice.sync(chat, &log);
    }
    let got = phone.sync(chat, &log);
    let heads: Vec<HeadCheck> = got.iter().map(|one| one.head).collect();
    assert!(matches!(heads[..], [HeadCheck::Unchecked, HeadCheck::Agrees(_)]), "{heads:?}");
    phone.say(chat, "three");
    phone.send(&mut log);
    let got = bob.sync(chat, &log);
    assert!(matches!(got.last().unwrap().head, HeadCheck::Agrees(_)), "it says its own by now");
    assert!(got.iter().all(|one| one.alarms.is_empty()));
}

#[test]
fn a_device_that_dies_while_it_comes_in_sends_the_same_commit_again_and_has_missed_nothing() {
    let person = Person::new("bob");
    let mut devices = [Device::new("alice"), Device::of(&person)];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, _] = &mut devices;
    let mut phone = Device::of(&person);
    let entering = phone.enter(chat, &log).unwrap();
    let first = log.take_entering(phone.me(), &entering);
    // The answer is lost, and the device with it. Others go on.
    alice.sync(chat, &log);
    alice.say(chat, "are you there?");
    alice.commit(chat, &Intent::Renew).unwrap();
    alice.send(&mut log);
    let mut phone = phone.restart();
    assert!(phone.store.read(|tx| phone.groups.cursor(tx, chat)).is_err(), "no conversation yet");
    let again = phone.enter(chat, &log).unwrap();
    assert_eq!(again, entering, "the same bytes under the same id");
    let second = log.take_entering(phone.me(), &again);
    assert_eq!(first, second);
    let Answer::Seq(seq) = second else { panic!("it stands there") };
    assert!(phone.entered(chat, seq));
    assert!(!phone.entered(chat, seq), "once");
    assert_eq!(texts(&phone.sync(chat, &log)), ["are you there?"]);
    assert!(matches!(phone.enter(chat, &log), Err(Error::Exists(_))));
}

#[test]
fn who_lost_the_race_comes_in_from_the_state_that_the_winner_left() {
    let person = Person::new("bob");
    let mut devices = [Device::new("alice"), Device::of(&person)];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let mut late = [Device::of(&person), Device::of(&person)];
    let made = [late[0].enter(chat, &log).unwrap(), late[1].enter(chat, &log).unwrap()];
    let Answer::Seq(seq) = log.take_entering(late[0].me(), &made[0]) else {
        panic!("the first one is in time")
    };
    assert!(late[0].entered(chat, seq));
    assert_eq!(log.take_entering(late[1].me(), &made[1]), Answer::EpochConflict);
    let loser = &mut late[1];
    assert!(loser.store.write(|tx| loser.groups.give_up_entering(tx, chat)).unwrap());
    loser.comes_in(chat, &mut log);
    loser.say(chat, "four devices");
    loser.send(&mut log);
    for device in devices.iter_mut().chain(&mut late[..1]) {
        assert_eq!(texts(&device.sync(chat, &log)), ["four devices"]);
    }
}

#[test]
fn a_device_whose_state_is_lost_takes_its_own_place_again() {
    let person = Person::new("bob");
    let mut devices = [Device::new("alice"), Device::of(&person)];
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    let [alice, bob] = &mut devices;
    bob.store.write(|tx| bob.groups.forget(tx, chat)).unwrap();
    bob.comes_in(chat, &mut log);
    alice.sync(chat, &log);
    alice.say(chat, "again");
    alice.send(&mut log);
    assert_eq!(texts(&bob.sync(chat, &log)), ["again"]);
    let view = alice.store.read(|tx| alice.groups.view(tx, chat)).unwrap();
    assert_eq!(view.members.len(), 2, "no second leaf of it");
}

#[test]
fn an_invitation_that_is_faster_counts_and_the_own_commit_is_dropped() {
    let person = Person::new("bob");
    let mut devices = [Device::new("alice"), Device::of(&person)];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let mut phone = Device::of(&person);
    let entering = phone.enter(chat, &log).unwrap();
    let package = phone.key_package();
    let alice = &mut devices[0];
    alice.commit(chat, &Intent::Add(vec![invite(&phone, &package)])).unwrap();
    alice.send(&mut log);
    assert_eq!(log.take_entering(phone.me(), &entering), Answer::EpochConflict);
    phone.sync(chat, &log);
    assert!(!phone.entered(chat, 1), "not over the one that it is in");
    alice.sync(chat, &log);
    alice.say(chat, "in by invitation");
    alice.send(&mut log);
    assert_eq!(texts(&phone.sync(chat, &log)), ["in by invitation"]);
}

#[test]
fn strangers_gone_devices_and_other_conversations_information_get_nobody_in() {
    let person = Person::new("bob");
    let mut devices = [Device::new("alice"), Device::of(&person)];
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    let rule = |made: Result<_, Error>, wanted: Violation| match made {
        Err(Error::Group(GroupError::Rule(found))) => assert_eq!(found, wanted),
        other => panic!("{other:?}"),
    };
    rule(Device::new("eve").enter(chat, &log), Violation::Joiner);
    let mut phone = Device::of(&person);
    phone.comes_in(chat, &mut log);
    let bob = &mut devices[1];
    bob.sync(chat, &log);
    bob.commit(chat, &Intent::SendAway(vec![phone.me().device])).unwrap();
    bob.send(&mut log);
    assert!(phone.sync(chat, &log).iter().any(|one| matches!(one.what, What::Out { .. })));
    bob.sync(chat, &log);
    bob.say(chat, "without the phone");
    bob.send(&mut log);
    assert_eq!(texts(&phone.sync(chat, &log)), [""; 0], "it opens nothing that follows");
    rule(phone.enter(chat, &log), Violation::GoneReturns);
    let elsewhere = phone.enter(ConversationId([7; 16]), &log);
    assert!(
        matches!(elsewhere, Err(Error::Group(GroupError::WrongConversation))),
        "{elsewhere:?}"
    );
    let mut damaged = log.clone();
    damaged.group_info.truncate(log.group_info.len() / 2);
    let mut tablet = Device::of(&person);
    assert!(matches!(tablet.enter(chat, &damaged), Err(Error::Group(GroupError::Unexpected(_)))));
    let middle = log.group_info.len() / 2;
    damaged.group_info.clone_from(&log.group_info);
    damaged.group_info[middle] ^= 1;
    assert!(matches!(tablet.enter(chat, &damaged), Err(Error::Group(_))), "a changed byte");
}
