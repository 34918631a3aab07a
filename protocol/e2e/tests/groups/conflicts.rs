//! Two who commit at the same time, and messages that a commit overtakes.

use crate::world::*;
use fastchat_e2e::{
    groups::{Cause, Error, What},
    mls::{GroupError, Intent, Kind},
};

#[test]
fn of_two_admins_who_commit_at_once_the_loser_drops_applies_and_makes_it_again() {
    let mut devices = [Device::new("alice"), Device::new("bob"), Device::new("carol"), Device::new("dave")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices[..2]);
    let [alice, bob, carol, dave] = &mut devices;
    alice.commit(chat, &Intent::Appoint(vec![bob.me().account])).unwrap();
    alice.send(&mut log);
    bob.sync(chat, &log);
    alice.sync(chat, &log);
    let (for_carol, for_dave) = (carol.key_package(), dave.key_package());
    alice.commit(chat, &Intent::Add(vec![invite(carol, &for_carol)])).unwrap();
    let lost = bob.commit(chat, &Intent::Add(vec![invite(dave, &for_dave)])).unwrap();
    alice.send(&mut log);
    assert_eq!(bob.send(&mut log), [(lost.entry, Answer::EpochConflict)]);
    let got = bob.sync(chat, &log);
    assert!(
        got.iter()
            .any(|one| matches!(&one.what, What::Commit { overtaken: Some(entry), .. } if *entry == lost.entry))
    );
    assert!(bob.send(&mut log).is_empty(), "the overtaken commit is not sent again");
    bob.commit(chat, &Intent::Add(vec![invite(dave, &for_dave)])).unwrap();
    bob.send(&mut log);
    for device in [&mut *alice, &mut *carol, &mut *dave] {
        device.sync(chat, &log);
    }
    alice.say(chat, "everybody here?");
    alice.send(&mut log);
    for device in [bob, carol, dave] {
        assert_eq!(device.accounts(chat).len(), 4);
        assert_eq!(texts(&device.sync(chat, &log)), ["everybody here?"]);
    }
}

#[test]
fn a_second_commit_waits_for_the_first_and_a_withdrawn_one_is_gone() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    let [alice, bob] = &mut devices;
    let first = alice.commit(chat, &Intent::Renew).unwrap();
    assert!(matches!(alice.commit(chat, &Intent::Renew), Err(Error::CommitPending(entry)) if entry == first.entry));
    let withdrawn = alice.store.write(|tx| alice.groups.withdraw(tx, chat)).unwrap();
    assert_eq!(withdrawn, Some(first.entry));
    assert!(alice.send(&mut log).is_empty());
    alice.commit(chat, &Intent::Renew).unwrap();
    alice.say(chat, "sealed before the commit stands");
    let answers = alice.send(&mut log);
    assert_eq!(answers.last().unwrap().1, Answer::EpochConflict);
    let message = answers.last().unwrap().0;
    alice.sync(chat, &log);
    alice.store.write(|tx| alice.groups.reseal(tx, chat, message)).unwrap();
    alice.send(&mut log);
    assert_eq!(texts(&bob.sync(chat, &log)), ["sealed before the commit stands"]);
}

#[test]
fn a_message_that_a_commit_overtook_is_sealed_again_under_its_id_and_arrives_once() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    let first = bob.say(chat, "said in the old epoch");
    alice.commit(chat, &Intent::Renew).unwrap();
    alice.send(&mut log);
    assert_eq!(bob.send(&mut log), [(first.entry, Answer::EpochConflict)]);
    let early = bob.store.write(|tx| bob.groups.reseal(tx, chat, first.entry));
    assert!(matches!(early, Err(Error::Behind)));
    bob.sync(chat, &log);
    let second = bob.store.write(|tx| bob.groups.reseal(tx, chat, first.entry)).unwrap();
    assert_eq!(second.entry, first.entry);
    assert_ne!(second.payload, first.payload);
    bob.send(&mut log);
    assert_eq!(texts(&alice.sync(chat, &log)), ["said in the old epoch"]);
}

#[test]
fn repeated_and_reordered_messages_are_refused_and_the_rest_goes_on() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    alice.say(chat, "one");
    alice.say(chat, "two");
    alice.say(chat, "three");
    alice.send(&mut log);
    let honest = log.entries.len();
    // The server shows bob "two" before "one", then "two" once more, then "three".
    let mut shown = log.clone();
    shown.entries.swap(honest - 3, honest - 2);
    let again = shown.entries[honest - 3].clone();
    shown.entries.insert(honest - 1, again);
    let got = bob.sync(chat, &shown);
    assert_eq!(texts(&got), ["two", "three"]);
    let refused = got.iter().filter(|one| {
        matches!(
            &one.what,
            What::Unreadable {
                cause: Cause::Group(GroupError::Replayed)
            }
        )
    });
    assert_eq!(refused.count(), 2);
}

#[test]
fn numbers_are_taken_once_and_in_order() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    alice.say(chat, "one");
    alice.say(chat, "two");
    alice.send(&mut log);
    let last = log.entries.len() as u64;
    let gap = bob.receive(chat, &log.entries[last as usize - 1].view(last));
    assert!(matches!(gap, Err(Error::Gap { expected, got }) if expected == last - 1 && got == last));
    bob.sync(chat, &log);
    let repeated = bob.receive(chat, &log.entries[last as usize - 1].view(last)).unwrap();
    assert!(matches!(repeated[..], [ref one] if matches!(one.what, What::Repeated) && one.alarms.is_empty()));
}

#[test]
fn own_entries_wait_for_what_came_before_them() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    alice.say(chat, "from alice");
    alice.send(&mut log);
    bob.say(chat, "from bob");
    bob.send(&mut log);
    bob.commit(chat, &Intent::Renew).unwrap();
    bob.send(&mut log);
    let behind = bob.store.read(|tx| bob.groups.cursor(tx, chat)).unwrap();
    assert_eq!(behind + 3, log.entries.len() as u64, "nothing of its own was taken yet");
    let got = bob.sync(chat, &log);
    assert!(matches!(got[0].what, What::Message { .. }));
    assert!(matches!(got[1].what, What::Own { .. }));
    assert!(matches!(&got[2].what, What::Commit { applied, .. } if applied.author.who == bob.me()));
    assert_eq!(got.len(), 3);
    alice.sync(chat, &log);
    bob.say(chat, "in the new epoch");
    bob.send(&mut log);
    assert_eq!(texts(&alice.sync(chat, &log)), ["in the new epoch"]);
}
