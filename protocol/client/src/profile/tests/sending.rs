//! What is sent, refused, sealed again, and told.

use super::world::*;
use crate::{
    error::Refused,
    ids::Expose,
    outbox::{Outbox, Settlement},
    profile::{
        identity, take,
        tasks::{self, Outcome},
    },
};
use fastchat_e2e::{
    mls::{Intent, Kind},
    store::Table,
};
use fastchat_wire::Code;

fn outcome(device: &Device, entry: fastchat_e2e::EntryId) -> Option<Outcome> {
    device.profile.read(|tx| tasks::outcome(tx, entry)).unwrap()
}

fn pair() -> (Device, Device, Log) {
    let (alice, bob) = (Device::new("alice"), Device::new("bob"));
    let mut log = Log::new();
    alice.found(log.id, Kind::Direct, &[&bob]);
    log.send(&alice);
    alice.read(&log);
    log.send(&alice);
    bob.read(&log);
    (alice, bob, log)
}

#[test]
fn what_two_say_is_noted_once_on_both_sides_in_the_order_of_the_log_and_with_its_time() {
    let (alice, bob, mut log) = pair();
    alice.say(log.id, "one");
    alice.say(log.id, "two");
    log.send(&alice);
    bob.read(&log);
    bob.say(log.id, "three");
    log.send(&bob);
    // Read again, as after a lost connection.
    for device in [&alice, &bob] {
        device.read(&log);
        for entry in &log.entries {
            device.profile.change(|groups, tx| take::take(groups, tx, entry)).unwrap();
        }
        assert_eq!(device.texts(log.id), ["one", "two", "three"]);
        for record in device.profile.history(log.id, 100).unwrap() {
            assert_eq!(record.at_ms, record.seq * 1_000, "{record:?}");
        }
    }
}

#[test]
fn a_message_that_was_sealed_again_while_its_refusal_was_on_its_way_is_not_dropped() {
    let (alice, bob, mut log) = pair();
    let message = alice.say(log.id, "still here");
    bob.commit(log.id, &Intent::Renew);
    log.send(&bob);
    // Refused, as the log is in the next epoch; before that is read here, the log moves on once more.
    let refusal = log.answers(&alice);
    assert!(matches!(&refusal[..], [(_, Settlement::Refused(_))]));
    bob.commit(log.id, &Intent::Renew);
    log.send(&bob);
    alice.read(&log);
    alice.profile.settle(&refusal).unwrap();
    assert_eq!(outcome(&alice, message), None, "nobody is told that it is lost");
    log.send(&alice);
    bob.read(&log);
    assert_eq!(bob.texts(log.id), ["still here"]);
}

#[test]
fn messages_keep_their_order_when_a_commit_overtakes_them() {
    let (alice, bob, mut log) = pair();
    for n in 0..5 {
        alice.say(log.id, &n.to_string());
    }
    bob.commit(log.id, &Intent::Renew);
    log.send(&bob);
    let refusals = log.answers(&alice);
    assert_eq!(refusals.len(), 5);
    alice.profile.settle(&refusals).unwrap();
    assert!(
        alice.profile.first(log.id.wire(), 64, 1 << 20).unwrap().is_empty(),
        "nothing is sent before the log was read"
    );
    alice.read(&log);
    log.send(&alice);
    bob.read(&log);
    assert_eq!(bob.texts(log.id), ["0", "1", "2", "3", "4"]);
}

#[test]
fn a_server_that_went_back_behind_this_device_has_its_refusal_told() {
    let (alice, _bob, log) = pair();
    let message = alice.say(log.id, "from the future");
    let refused = Settlement::Refused(Refused {
        code: Code::EpochConflict,
        message: "another epoch".to_owned(),
        retry_after: None,
        epoch: Some(0),
    });
    alice.profile.first(log.id.wire(), 64, 1 << 20).unwrap();
    alice.profile.settle(&[(message.wire(), refused)]).unwrap();
    assert!(matches!(outcome(&alice, message), Some(Outcome::Refused { .. })));
    assert!(waiting(&alice).is_empty());
}

#[test]
fn of_two_processes_of_a_profile_each_entry_is_noted_by_one() {
    let (alice, bob, mut log) = pair();
    let other = bob.another_process();
    alice.say(log.id, "hello");
    log.send(&alice);
    read(&other, bob.device, &log);
    bob.read(&log);
    let mine = bob.say(log.id, "and back");
    // The server's push to one process overtakes its answer to the other.
    let answers = log.answers(&bob);
    read(&other, bob.device, &log);
    bob.profile.settle(&answers).unwrap();
    assert_eq!(bob.texts(log.id), ["hello", "and back"]);
    assert!(matches!(outcome(&bob, mine), Some(Outcome::Sent { at_ms: 1.., .. })));
    assert!(waiting(&bob).is_empty());
}

#[test]
fn an_outcome_is_kept_for_a_day_from_when_it_was_settled_however_old_its_message_is() {
    let alice = Device::new("alice");
    let old = fastchat_e2e::EntryId([0; 16]);
    let now = crate::clock::now_ms();
    let forget = |at| alice.profile.write(|tx| tasks::forget_old_outcomes(tx, at)).unwrap();
    alice.profile.write(|tx| tasks::settle(tx, old, &Outcome::Done)).unwrap();
    forget(now);
    assert_eq!(outcome(&alice, old), Some(Outcome::Done));
    forget(now + 25 * 3_600_000);
    assert_eq!(outcome(&alice, old), None);
    assert!(!alice.profile.read(identity::is_published).unwrap());
}

#[test]
fn a_conversation_whose_state_is_damaged_stops_no_other() {
    let (alice, bob, mut log) = pair();
    let carol = Device::new("carol");
    let mut other = Log::new();
    alice.found(other.id, Kind::Direct, &[&carol]);
    other.send(&alice);
    alice.commit(log.id, &Intent::Renew);
    let message = alice.say(other.id, "hello");
    let state = Table::new("group-state");
    alice.profile.write(|tx| Ok(tx.put(state, log.id.as_bytes(), b"rubbish")?)).unwrap();
    // Another process has no copy in memory.
    let process = alice.another_process();
    let settled: Vec<_> = [&mut log, &mut other]
        .into_iter()
        .flat_map(|log| {
            let first = crate::outbox::cut(process.first(log.id.wire(), 64, 1 << 20).unwrap());
            first
                .iter()
                .map(|outgoing| (outgoing.entry, log.answer(&alice, outgoing)))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(settled.len() >= 2);
    process.settle(&settled).unwrap();
    assert!(matches!(outcome(&alice, message), Some(Outcome::Sent { .. })));
    assert!(waiting(&alice).is_empty());
    drop(bob);
}
