//! Conversations that begin, and that end.

use super::world::*;
use crate::{
    profile::{
        Withdrawn, rooms, take,
        tasks::{self, Outcome, Wanted, Wish},
    },
    record::What,
};
use fastchat_e2e::{
    AccountId,
    mls::{Intent, Kind},
};
use fastchat_wire::chat::entry::Change;

#[test]
fn of_two_who_found_a_direct_chat_at_once_the_slower_joins_and_nothing_looks_broken() {
    let (alice, bob) = (Device::new("alice"), Device::new("bob"));
    let mut log = Log::new();
    alice.found(log.id, Kind::Direct, &[&bob]);
    bob.found(log.id, Kind::Direct, &[&alice]);
    log.send(&bob);
    bob.read(&log);
    log.send(&bob);
    // The commit of the other side comes before the refusal of the own one.
    for entry in &log.entries {
        alice.profile.change(|groups, tx| take::take(groups, tx, entry)).unwrap();
    }
    assert!(waiting(&alice).is_empty(), "the own founding is dropped");
    alice.read(&log);
    alice.say(log.id, "hello");
    log.send(&alice);
    bob.read(&log);
    assert_eq!(bob.texts(log.id), ["hello"]);
    let broken = |record: &crate::record::Record| matches!(record.what, What::Unreadable { .. }) || !record.alarms.is_empty();
    for device in [&alice, &bob] {
        assert!(!device.records().iter().any(broken), "{:?}", device.records());
    }
    assert_eq!(alice.profile.room(log.id).unwrap().unwrap().title(), "@bob");
}

#[test]
fn who_leaves_keeps_no_secrets_and_is_told_what_was_never_sent() {
    let (alice, bob) = (Device::new("alice"), Device::new("bob"));
    let mut log = Log::new();
    alice.found(log.id, Kind::Group, &[&bob]);
    log.send(&alice);
    bob.read(&log);
    let unsent = bob.say(log.id, "too late");
    log.members(&[(bob.account, Change::Left)]);
    bob.read(&log);
    let told = bob.profile.read(|tx| tasks::outcome(tx, unsent)).unwrap();
    assert!(matches!(told, Some(Outcome::Refused { code, .. }) if code == "not-member"));
    let sealed = bob.profile.change(|groups, tx| Ok(groups.seal(tx, log.id, &text("still in?"))?));
    assert_eq!(code(sealed), "not-member");
    assert!(bob.profile.room(log.id).unwrap().unwrap().out);
    let outs = bob.records().iter().filter(|record| matches!(record.what, What::Out)).count();
    assert_eq!(outs, 1);
}

#[test]
fn a_group_that_the_server_calls_a_direct_chat_is_not_where_a_person_is_written_to() {
    let (alice, bob) = (Device::new("alice"), Device::new("bob"));
    let mut log = Log::new();
    bob.profile.write(|tx| rooms::enter(tx, log.id, Some(alice.account))).unwrap();
    alice.found(log.id, Kind::Group, &[&bob]);
    log.send(&alice);
    bob.read(&log);
    let direct = bob.profile.read(|tx| rooms::direct(tx, alice.account)).unwrap();
    assert_eq!(direct, None);
    assert_eq!(bob.profile.room(log.id).unwrap().unwrap().peer, None);
}

#[test]
fn a_founding_that_is_refused_leaves_no_conversation_behind() {
    let (alice, bob) = (Device::new("alice"), Device::new("bob"));
    let log = Log::new();
    let commit = alice.found(log.id, Kind::Group, &[&bob]);
    let wish = Wish {
        conversation: log.id,
        what: Wanted::Group("team".to_owned(), vec![bob.account]),
    };
    let id = alice.profile.write(|tx| tasks::wish(tx, &wish)).unwrap();
    alice.profile.change(|groups, tx| Ok(groups.discard(tx, log.id, commit)?)).unwrap();
    let refused = Outcome::Refused {
        code: "forbidden".to_owned(),
        message: "no".to_owned(),
    };
    alice.profile.fulfilled(id, &wish, &refused).unwrap();
    assert!(alice.profile.rooms().unwrap().is_empty());
    assert_eq!(alice.profile.withdraw(id).unwrap(), Withdrawn::Settled(refused));
}

#[test]
fn a_wish_is_given_up_unless_something_is_on_its_way_for_it() {
    let (alice, bob) = (Device::new("alice"), Device::new("bob"));
    let log = Log::new();
    let wish = |what| Wish {
        conversation: log.id,
        what,
    };
    let first = wish(Wanted::Direct(AccountId([7; 16])));
    let first = alice.profile.write(|tx| tasks::wish(tx, &first)).unwrap();
    assert_eq!(alice.profile.withdraw(first).unwrap(), Withdrawn::Gone);
    assert!(alice.profile.read(tasks::wishes).unwrap().is_empty());

    alice.found(log.id, Kind::Direct, &[&bob]);
    let second = wish(Wanted::Direct(bob.account));
    let second = alice.profile.write(|tx| tasks::wish(tx, &second)).unwrap();
    assert_eq!(alice.profile.withdraw(second).unwrap(), Withdrawn::UnderWay);
    assert_eq!(alice.profile.read(tasks::wishes).unwrap().len(), 1);
}

#[test]
fn entries_that_are_lost_are_noted_once_however_often_the_hole_is_met() {
    let (alice, bob) = (Device::new("alice"), Device::new("bob"));
    let mut log = Log::new();
    alice.found(log.id, Kind::Direct, &[&bob]);
    log.send(&alice);
    bob.read(&log);
    let at = bob.profile.room(log.id).unwrap().unwrap().seq;
    let noted = || bob.profile.read(|tx| take::is_noted_lost(tx, log.id, at)).unwrap();
    assert!(!noted());
    let lost = crate::profile::history::Event::Lost(at + 1, at + 9);
    bob.profile.change(|groups, tx| take::add_own(groups, tx, log.id, 1, lost)).unwrap();
    assert!(noted());
}

#[test]
fn who_was_removed_reads_nothing_that_follows_and_is_in_again_once_added_again() {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(Device::new);
    let mut log = Log::new();
    alice.found(log.id, Kind::Group, &[&bob, &carol]);
    log.send(&alice);
    alice.say(log.id, "all of us");
    log.send(&alice);
    carol.read(&log);
    alice.commit(log.id, &Intent::Remove(vec![carol.account]));
    log.send(&alice);
    alice.say(log.id, "without carol");
    log.send(&alice);
    carol.read(&log);
    assert_eq!(carol.texts(log.id), ["all of us"]);
    assert!(carol.profile.room(log.id).unwrap().unwrap().out);
    assert!(carol.records().iter().any(|record| matches!(record.what, What::Out)));

    alice.add(log.id, &carol);
    log.send(&alice);
    carol.read(&log);
    alice.say(log.id, "welcome back");
    log.send(&alice);
    for device in [&bob, &carol] {
        device.read(&log);
    }
    assert_eq!(carol.texts(log.id), ["all of us", "welcome back"]);
    assert_eq!(bob.texts(log.id), ["all of us", "without carol", "welcome back"]);
    assert!(!carol.profile.room(log.id).unwrap().unwrap().out);
}
