//! What people do: talk, bring others in, take them out, leave.

use crate::world::*;
use fastchat_e2e::{
    content::Body,
    groups::{Cause, Error, What},
    log::HeadCheck,
    mls::{GroupError, Intent, Kind, Violation},
};

#[test]
fn two_people_talk_and_agree_on_the_log() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    alice.say(chat, "hello");
    alice.send(&mut log);
    let got = bob.sync(chat, &log);
    assert_eq!(texts(&got), ["hello"]);
    bob.say(chat, "hello yourself");
    bob.say(chat, "how are you?");
    bob.send(&mut log);
    let got = alice.sync(chat, &log);
    assert_eq!(texts(&got), ["hello yourself", "how are you?"]);
    assert!(
        got.iter()
            .all(|one| matches!(one.head, HeadCheck::Agrees(_)) && one.alarms.is_empty())
    );
}

#[test]
fn a_joiner_adopts_the_head_that_the_adder_names_and_compares_from_then_on() {
    let mut devices = [Device::new("alice"), Device::new("bob"), Device::new("carol")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices[..2]);
    let [alice, bob, carol] = &mut devices;
    bob.say(chat, "before carol");
    bob.send(&mut log);
    alice.sync(chat, &log);
    let package = carol.key_package();
    alice.commit(chat, &Intent::Add(vec![invite(carol, &package)])).unwrap();
    alice.send(&mut log);
    bob.sync(chat, &log);
    bob.say(chat, "welcome, carol");
    bob.send(&mut log);
    let got = carol.sync(chat, &log);
    assert!(
        got.iter()
            .any(|one| matches!(&one.what, What::Message { content, .. } if matches!(&content.body, Body::Notice(_)))),
        "the adder's message that names the head"
    );
    assert_eq!(texts(&got), ["welcome, carol"]);
    assert!(matches!(got.last().unwrap().head, HeadCheck::Agrees(_)), "{got:?}");
    carol.say(chat, "thanks");
    carol.send(&mut log);
    let got = alice.sync(chat, &log);
    assert_eq!(texts(&got).last().unwrap(), "thanks");
    assert!(matches!(got.last().unwrap().head, HeadCheck::Agrees(_)));
}

#[test]
fn a_removed_member_opens_nothing_that_follows_and_keeps_no_keys() {
    let mut devices = [Device::new("alice"), Device::new("bob"), Device::new("carol")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    let [alice, bob, carol] = &mut devices;
    alice.commit(chat, &Intent::Remove(vec![carol.me().account])).unwrap();
    alice.send(&mut log);
    alice.sync(chat, &log);
    bob.sync(chat, &log);
    assert_eq!(alice.accounts(chat).len(), 2);
    assert_eq!(alice.accounts(chat), bob.accounts(chat));
    bob.say(chat, "carol is gone");
    bob.send(&mut log);
    let got = carol.sync(chat, &log);
    assert!(matches!(got[0].what, What::Out { by, .. } if by == alice.me()));
    assert!(matches!(got.last().unwrap().what, What::Unreadable { cause: Cause::Out }));
    let view = carol.store.read(|tx| carol.groups.view(tx, chat));
    assert!(matches!(view, Err(Error::Out)));
    let said = carol.store.write(|tx| carol.groups.seal(tx, chat, &text("let me in")));
    assert!(matches!(said, Err(Error::Out)));
    assert_eq!(texts(&alice.sync(chat, &log)), ["carol is gone"]);
}

#[test]
fn who_left_is_removed_by_an_admin_and_can_be_added_again() {
    let mut devices = [Device::new("alice"), Device::new("bob"), Device::new("carol")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    let [alice, bob, carol] = &mut devices;
    // Carol left at the server; bob's client can't take her leaves out, alice's can.
    let refused = bob.commit(chat, &Intent::Remove(vec![carol.me().account]));
    assert!(matches!(refused, Err(Error::Group(GroupError::Rule(Violation::NotAdmin)))));
    alice.commit(chat, &Intent::Remove(vec![carol.me().account])).unwrap();
    alice.send(&mut log);
    carol.sync(chat, &log);
    let package = carol.key_package();
    alice.sync(chat, &log);
    alice.commit(chat, &Intent::Add(vec![invite(carol, &package)])).unwrap();
    alice.send(&mut log);
    alice.sync(chat, &log);
    alice.say(chat, "welcome back");
    alice.send(&mut log);
    let at = log.welcomed[&carol.me().device];
    let welcome = log.entries[at as usize - 1].clone();
    let epoch = log.entries[at as usize - 2].epoch.unwrap();
    carol
        .store
        .write(|tx| carol.groups.join(tx, chat, &welcome.view(at), epoch))
        .unwrap();
    assert_eq!(texts(&carol.sync(chat, &log)), ["welcome back"]);
    let again = carol.store.write(|tx| carol.groups.join(tx, chat, &welcome.view(at), epoch));
    assert!(
        matches!(again, Err(Error::Group(GroupError::NotInvited))),
        "a one-time key package opens one Welcome"
    );
    bob.sync(chat, &log);
    assert_eq!(bob.accounts(chat).len(), 3);
}

#[test]
fn a_second_device_is_added_by_any_member_and_sent_away_for_good() {
    let person = Person::new("bob");
    let mut devices = [Device::new("alice"), Device::of(&person), Device::of(&person)];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices[..2]);
    let [alice, bob, phone] = &mut devices;
    let package = phone.key_package();
    alice.commit(chat, &Intent::Add(vec![invite(phone, &package)])).unwrap();
    alice.send(&mut log);
    bob.sync(chat, &log);
    phone.sync(chat, &log);
    phone.say(chat, "from the phone");
    phone.send(&mut log);
    let phone_id = phone.me().device;
    assert_eq!(texts(&bob.sync(chat, &log)), ["from the phone"]);
    bob.commit(chat, &Intent::SendAway(vec![phone_id])).unwrap();
    bob.send(&mut log);
    bob.sync(chat, &log);
    let got = alice.sync(chat, &log);
    assert!(
        got.iter()
            .any(|one| matches!(&one.what, What::Commit { applied, .. } if applied.removed == [phone.me()]))
    );
    assert!(phone.sync(chat, &log).iter().any(|one| matches!(one.what, What::Out { .. })));
    let package = phone.key_package();
    let back = alice.commit(chat, &Intent::Add(vec![invite(phone, &package)]));
    assert!(matches!(back, Err(Error::Group(GroupError::Rule(Violation::GoneReturns)))));
}

#[test]
fn admins_are_appointed_and_dismissed_and_their_removal_leaves_the_list_right() {
    let mut devices = [Device::new("alice"), Device::new("bob"), Device::new("carol")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    let [alice, bob, carol] = &mut devices;
    alice.commit(chat, &Intent::Appoint(vec![bob.me().account])).unwrap();
    alice.send(&mut log);
    bob.sync(chat, &log);
    bob.commit(chat, &Intent::Remove(vec![alice.me().account])).unwrap();
    bob.send(&mut log);
    carol.sync(chat, &log);
    let view = carol.store.read(|tx| carol.groups.view(tx, chat)).unwrap();
    assert_eq!(view.charter.admins, [bob.me().account]);
    let none = bob.commit(chat, &Intent::Dismiss(vec![bob.me().account]));
    assert!(matches!(none, Err(Error::Group(GroupError::Charter(_)))), "a group keeps an admin");
    let stranger = bob.commit(chat, &Intent::Appoint(vec![alice.me().account]));
    assert!(matches!(stranger, Err(Error::Group(GroupError::Rule(Violation::AdminOutside)))));
}

#[test]
fn the_server_cannot_slip_in_another_accounts_key() {
    let mut devices = [Device::new("alice"), Device::new("bob"), Device::new("mallory")];
    let (chat, _) = conversation(Kind::Group, &mut devices[..1]);
    let [alice, bob, mallory] = &mut devices;
    let package = mallory.key_package();
    let refused = alice.commit(chat, &Intent::Add(vec![invite(bob, &package)]));
    assert!(matches!(refused, Err(Error::Group(GroupError::WrongAccount { wanted })) if wanted == bob.me().account));
}

#[test]
fn a_last_resort_key_package_opens_more_than_one_welcome() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (first, mut first_log) = conversation(Kind::Group, &mut devices[..1]);
    let (second, mut second_log) = conversation(Kind::Group, &mut devices[..1]);
    let [alice, bob] = &mut devices;
    let package = bob
        .store
        .write(|tx| bob.groups.make_key_packages(tx, 1, true, NOW))
        .unwrap()
        .remove(0);
    for (chat, log) in [(first, &mut first_log), (second, &mut second_log)] {
        alice.commit(chat, &Intent::Add(vec![invite(bob, &package)])).unwrap();
        alice.send(log);
        let at = log.welcomed[&bob.me().device];
        let welcome = log.entries[at as usize - 1].view(at);
        let welcomed = bob.store.write(|tx| bob.groups.join(tx, chat, &welcome, 1)).unwrap();
        assert!(welcomed.last_resort_used);
    }
}

#[test]
fn key_packages_live_for_ninety_days() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, _) = conversation(Kind::Group, &mut devices[..1]);
    let [alice, bob] = &mut devices;
    let package = bob.key_package();
    let later = NOW + std::time::Duration::from_hours(91 * 24);
    let intent = Intent::Add(vec![invite(bob, &package)]);
    let refused = alice.store.write(|tx| alice.groups.commit(tx, chat, &intent, ids(), later));
    assert!(matches!(refused, Err(Error::Group(_))), "{refused:?}");
    assert_eq!(bob.store.write(|tx| bob.groups.expire_key_packages(tx, NOW)).unwrap(), 0);
    assert_eq!(bob.store.write(|tx| bob.groups.expire_key_packages(tx, later)).unwrap(), 1);
}

#[test]
fn messages_that_were_never_sent_are_named_when_their_writer_is_removed() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    let [alice, bob] = &mut devices;
    let late = bob.say(chat, "too late");
    alice.commit(chat, &Intent::Remove(vec![bob.me().account])).unwrap();
    alice.send(&mut log);
    let got = bob.sync(chat, &log);
    assert!(matches!(&got[0].what, What::Out { unsent, .. } if *unsent == [late.entry]));
    assert!(bob.send(&mut log).is_empty());
}

#[test]
fn a_device_that_comes_back_before_it_read_its_removal_sends_what_waited() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    let [alice, bob] = &mut devices;
    let waiting = bob.say(chat, "written before");
    let package = bob.key_package();
    for intent in [Intent::Remove(vec![bob.me().account]), Intent::Add(vec![invite(bob, &package)])] {
        alice.commit(chat, &intent).unwrap();
        alice.send(&mut log);
        alice.sync(chat, &log);
    }
    let at = log.welcomed[&bob.me().device];
    let epoch = log.entries[at as usize - 2].epoch.unwrap();
    let welcome = log.entries[at as usize - 1].clone();
    bob.store.write(|tx| bob.groups.join(tx, chat, &welcome.view(at), epoch)).unwrap();
    bob.sync(chat, &log);
    bob.store.write(|tx| bob.groups.reseal(tx, chat, waiting.entry)).unwrap();
    bob.send(&mut log);
    assert_eq!(texts(&alice.sync(chat, &log)), ["written before"]);
}

#[test]
fn conversations_can_be_handed_to_a_blocking_thread() {
    fn sendable<T: Send>() {}
    sendable::<fastchat_e2e::groups::Groups>();
}
