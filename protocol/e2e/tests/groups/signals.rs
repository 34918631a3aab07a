//! What is told now and kept nowhere.

use crate::world::*;
use fastchat_e2e::{
    mls::{Intent, Kind},
    signal::Signal,
};

#[test]
fn a_signal_is_opened_once_by_members_of_its_epoch() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    let (epoch, first) = alice.signal(chat);
    assert_eq!(epoch, 1, "the server's");
    let (_, second) = alice.signal(chat);
    assert_ne!(first, second);
    let by_alice = Some((alice.me(), Signal::Typing));
    assert_eq!(bob.hear(chat, &second), by_alice);
    assert_eq!(bob.hear(chat, &second), None, "again");
    assert_eq!(bob.hear(chat, &first), None, "late");
    assert_eq!(alice.hear(chat, &second), None, "one's own");

    let (_, old) = alice.signal(chat);
    alice.commit(chat, &Intent::Renew).unwrap();
    alice.send(&mut log);
    bob.sync(chat, &log);
    assert_eq!(bob.hear(chat, &old), None, "of an epoch that is over");
    let (_, new) = alice.signal(chat);
    assert_eq!(bob.hear(chat, &new), Some((alice.me(), Signal::Typing)));
}

#[test]
fn no_counter_is_used_twice_though_the_device_starts_again() {
    let mut devices = vec![Device::new("alice"), Device::new("bob")];
    let (chat, _log) = conversation(Kind::Direct, &mut devices);
    let mut bob = devices.pop().unwrap();
    let mut alice = devices.pop().unwrap();
    let (_, first) = alice.signal(chat);
    assert!(bob.hear(chat, &first).is_some());
    let mut alice = alice.restart();
    let mut bob = bob.restart();
    assert_eq!(bob.hear(chat, &first), None);
    let (_, next) = alice.signal(chat);
    assert_ne!(first[..24], next[..24], "device and counter");
    assert!(bob.hear(chat, &next).is_some());
}

#[test]
fn who_is_no_member_signals_nothing_and_nothing_that_was_changed_opens() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, _log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    let (_, block) = alice.signal(chat);
    for at in 0..block.len() {
        let mut changed = block.clone();
        changed[at] ^= 1;
        assert_eq!(bob.hear(chat, &changed), None, "byte {at}");
    }
    assert!(bob.hear(chat, &block).is_some());
}
