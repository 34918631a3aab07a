//! A server that lies about the log is found out.

use crate::world::*;
use fastchat_e2e::{
    groups::What,
    log::{Alarm, HeadCheck, KIND_MESSAGE},
    mls::Kind,
};

#[test]
fn a_server_that_keeps_an_entry_from_one_member_raises_the_fork_alarm() {
    let mut devices = [Device::new("alice"), Device::new("bob"), Device::new("carol")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    let [alice, bob, carol] = &mut devices;
    alice.say(chat, "bob must not see this");
    alice.send(&mut log);
    carol.sync(chat, &log);
    let hidden = log.entries.len();
    carol.say(chat, "as alice says");
    carol.send(&mut log);
    // Bob is shown carol's message in alice's place.
    let mut shown = log.clone();
    shown.entries.remove(hidden - 1);
    let got = bob.sync(chat, &shown);
    let one = got.last().unwrap();
    assert!(matches!(one.what, What::Message { .. }), "what it says is shown");
    assert_eq!(one.head, HeadCheck::Forked);
    let [alarm @ Alarm::Fork { sender, .. }] = &one.alarms[..] else {
        panic!("{:?}", one.alarms)
    };
    assert_eq!(*sender, carol.me());
    let words = alarm.to_string();
    assert!(
        words.starts_with("WARNING") && words.contains("different histories") && words.contains("another channel"),
        "{words}"
    );
}

#[test]
fn a_server_that_swaps_an_unreadable_entry_raises_the_fork_alarm() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    log.push(entry_id(), KIND_MESSAGE, None, None, b"noise".to_vec());
    alice.sync(chat, &log);
    alice.say(chat, "after the noise");
    alice.send(&mut log);
    let mut shown = log.clone();
    let noise = shown.entries.len() - 2;
    shown.entries[noise].block = b"other noise".to_vec();
    let got = bob.sync(chat, &shown);
    assert!(matches!(got.last().unwrap().alarms[..], [Alarm::Fork { .. }]));
}

#[test]
fn a_server_that_shows_another_entry_for_a_read_number_is_told_on() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    alice.say(chat, "one");
    alice.send(&mut log);
    bob.sync(chat, &log);
    let last = log.entries.len() as u64;
    let mut other = log.entries[last as usize - 1].clone();
    other.block.push(0);
    let got = bob.receive(chat, &other.view(last)).unwrap();
    assert_eq!(got[0].alarms, [Alarm::Rewritten { seq: last }]);
}

#[test]
fn own_entries_must_stand_at_the_acknowledged_numbers_with_their_bytes() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    alice.say(chat, "one");
    alice.send(&mut log);
    bob.sync(chat, &log);
    let (mine, other) = (bob.say(chat, "mine"), bob.say(chat, "mine, too"));
    let at = log.entries.len() as u64;
    // The server says that bob's message has the number of alice's.
    let got = bob.store.write(|tx| bob.groups.acknowledged(tx, chat, mine.entry, at)).unwrap();
    assert!(matches!(got[0].what, What::Own { .. }));
    assert_eq!(
        got[0].alarms,
        [Alarm::Moved {
            seq: at,
            entry: mine.entry
        }]
    );
    // It shows the other one with other bytes.
    log.push(other.entry, KIND_MESSAGE, Some(bob.me()), None, b"not what bob said".to_vec());
    let got = bob.sync(chat, &log);
    assert_eq!(got[0].alarms, [Alarm::Altered { entry: other.entry }]);
}

#[test]
fn the_sealer_counts_whatever_sender_the_server_names() {
    let mut devices = [Device::new("alice"), Device::new("bob"), Device::new("carol")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    let [alice, bob, carol] = &mut devices;
    alice.say(chat, "from alice");
    alice.send(&mut log);
    log.entries.last_mut().unwrap().from = Some(carol.me());
    let got = bob.sync(chat, &log);
    assert!(matches!(&got[0].what, What::Message { sender, .. } if sender.who == alice.me()));
    let wanted = Alarm::Sender {
        named: Some(carol.me()),
        sealed_by: alice.me(),
    };
    assert_eq!(got[0].alarms, [wanted]);
}

#[test]
fn what_does_not_open_is_said_and_the_rest_goes_on() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    log.push(entry_id(), KIND_MESSAGE, Some(alice.me()), None, vec![7; 100]);
    log.push(entry_id(), "commit", Some(alice.me()), Some(log.epoch), vec![7; 100]);
    log.epoch += 1;
    log.push(entry_id(), "of-the-future", Some(alice.me()), None, vec![]);
    alice.sync(chat, &log);
    alice.say(chat, "still here");
    alice.send(&mut log);
    let got = bob.sync(chat, &log);
    assert!(matches!(got[0].what, What::Unreadable { .. }));
    assert!(matches!(got[1].what, What::BadCommit { .. }));
    assert!(matches!(got[2].what, What::Unknown));
    assert_eq!(texts(&got), ["still here"]);
    assert!(
        matches!(got[3].head, HeadCheck::Agrees(_)),
        "what is skipped counts in the head all the same"
    );
}
