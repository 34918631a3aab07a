//! What goes into the account's archive and comes back from it, with the server's part played by hand.

use super::world::*;
use crate::{
    ids::Expose,
    outbox::{Outbox, Payload, Settlement},
    profile::{Profile, archive, contacts, identity, restore, rooms, trust},
    receipt::Receipt,
    record::What,
};
use fastchat_e2e::{
    BackupPublicKey, Content, ConversationId, IdentityKey,
    archive::{ArchiveError, Opened},
    content::{Body, Group},
    mls::Kind,
    secret::BackupSeed,
};
use fastchat_wire::{LogId, chat::append::Appended};

/// An account's archive log: the blocks, from number 1.
pub(super) type Archive = Vec<Vec<u8>>;

/// Messages in the first batch: with them goes, and is not archived, that bob came.
const FIRST_BATCH: usize = 63;

pub(super) fn seed() -> BackupSeed {
    BackupSeed::new([7; 32])
}

pub(super) fn archiving(device: &Device) {
    let public: BackupPublicKey = seed().public();
    device.profile.write(|tx| identity::save_backup(tx, 1, public)).unwrap();
}

/// Makes batches of all that waits.
pub(super) fn make(device: &Device) -> usize {
    let one = || device.profile.change(|groups, tx| archive::archive(groups, tx)).unwrap();
    std::iter::repeat_with(one).take_while(|made| *made).count()
}

/// Sends the batches that wait, as the session does.
pub(super) fn send(device: &Device, to: &mut Archive) {
    let log = LogId::archive_of(device.account.wire());
    loop {
        let first = device.profile.first(log, 1, 1 << 20).unwrap();
        let Some(outgoing) = first.into_iter().next() else { return };
        let Payload::Append { kind, epoch, block } = outgoing.payload else {
            panic!("a batch is appended")
        };
        assert_eq!((kind.as_str(), epoch), ("record", None));
        to.push(block.to_vec());
        let seq = to.len() as u64;
        let appended = Settlement::Appended(Appended {
            seq,
            at: seq,
            duplicate: false,
        });
        device.profile.settle(&[(outgoing.entry, appended)]).unwrap();
    }
}

/// A pair whose log has so many messages of alice; she has archived them.
fn archived(messages: usize) -> (Device, Log, Archive) {
    let (alice, bob) = (Device::new("alice"), Device::new("bob"));
    archiving(&alice);
    let mut log = Log::new();
    alice.found(log.id, Kind::Direct, &[&bob]);
    log.send(&alice);
    for n in 0..messages {
        alice.say(log.id, &format!("message {n}"));
    }
    log.send(&alice);
    let mut to = Archive::new();
    make(&alice);
    send(&alice, &mut to);
    (alice, log, to)
}

pub(super) fn begin(device: &Device) {
    device.profile.write(|tx| restore::begin(tx, [(1, &seed())])).unwrap();
}

/// Looks all of it through, where that was not done yet; then takes so many entries, newest first.
pub(super) fn read_some(profile: &Profile, from: &Archive, count: u64) {
    profile.write(|tx| restore::stretch(tx, from.len() as u64)).unwrap();
    if !profile.read(restore::state).unwrap().unwrap().looked {
        look(profile, from);
    }
    take_some(profile, from, count);
}

/// Looks through what is to be read.
pub(super) fn look(profile: &Profile, at: &Archive) {
    profile.write(|tx| restore::stretch(tx, at.len() as u64)).unwrap();
    let state = profile.read(restore::state).unwrap().unwrap();
    let low = state.through + 1;
    let entries = opened(profile, at, low, state.next);
    profile.write(|tx| restore::look(tx, state.next, low, &entries)).unwrap();
}

/// Takes so many entries of what was looked through.
pub(super) fn take_some(profile: &Profile, from: &Archive, count: u64) {
    let state = profile.read(restore::state).unwrap().unwrap();
    assert!(state.looked);
    let low = state.next.saturating_sub(count).max(state.through) + 1;
    let entries = opened(profile, from, low, state.next);
    profile
        .change(|groups, tx| restore::take(groups, tx, state.next, low, &entries))
        .unwrap();
}

fn opened(profile: &Profile, from: &Archive, low: u64, high: u64) -> Vec<(u64, Result<Opened, ArchiveError>)> {
    let opener = profile.read(restore::opener).unwrap().unwrap();
    let open = |seq| opener.open(&from[usize::try_from(seq).unwrap() - 1]);
    (low..=high).rev().map(|seq| (seq, open(seq))).collect()
}

pub(super) fn finish(profile: &Profile) -> Receipt {
    let state = profile.read(restore::state).unwrap().unwrap();
    assert!(state.is_read());
    profile.write(|tx| restore::finish(tx, state.top, &[])).unwrap();
    profile.receipt().unwrap().unwrap()
}

pub(super) fn restore_all(device: &Device, from: &Archive) -> Receipt {
    begin(device);
    if !from.is_empty() {
        read_some(&device.profile, from, u64::MAX);
    }
    finish(&device.profile)
}

fn expected(messages: usize) -> Vec<String> {
    (0..messages).map(|n| format!("message {n}")).collect()
}

#[test]
fn a_new_device_has_what_an_old_one_read_in_its_order_with_its_names_and_nothing_of_it_is_news() {
    let (alice, log, archive) = archived(150);
    assert_eq!(archive.len(), 3, "64 messages each, and the rest");
    let phone = alice.another_device();
    let receipt = restore_all(&phone, &archive);
    assert_eq!((receipt.restored, receipt.messages, receipt.batches), (150, 150, 3), "{receipt:?}");
    assert!(receipt.is_complete());
    assert_eq!(phone.texts(log.id), expected(150));
    let (old, new) = (
        alice.profile.history(log.id, 500).unwrap(),
        phone.profile.history(log.id, 500).unwrap(),
    );
    let messages = old.iter().filter(|record| matches!(record.what, What::Message(_)));
    for (old, new) in messages.zip(&new) {
        assert_eq!((old.seq, old.at_ms, old.entry, old.own), (new.seq, new.at_ms, new.entry, new.own));
    }
    assert!(phone.profile.arrived_after(0, 10).unwrap().is_empty());
    let room = phone.profile.room(log.id).unwrap().unwrap();
    assert_eq!(room.title(), "@bob");
    let known = phone.profile.read(|tx| restore::room(tx, log.id)).unwrap().unwrap();
    assert_eq!(known.seq, log.entries.len() as u64);
}

#[test]
fn a_restore_that_was_cut_off_goes_on_where_it_was_and_the_seeds_go_with_its_end() {
    let (alice, log, archive) = archived(300);
    let phone = alice.another_device();
    begin(&phone);
    read_some(&phone.profile, &archive, 1);
    assert_eq!(
        phone.texts(log.id),
        expected(300)[FIRST_BATCH + 3 * 64..],
        "the newest are there first"
    );
    let process = phone.another_process();
    while !process.read(restore::state).unwrap().unwrap().is_read() {
        read_some(&process, &archive, 2);
    }
    let receipt = finish(&process);
    assert_eq!((receipt.restored, receipt.messages), (300, 300));
    assert_eq!(phone.texts(log.id), expected(300));
    assert!(!process.is_restoring().unwrap());
    let refused = process.read(restore::opener).unwrap().unwrap().open(&archive[0]).unwrap_err();
    assert_eq!(refused, ArchiveError::Unopened, "no seed is left");
}

#[test]
fn what_was_archived_while_it_was_read_comes_too() {
    let (alice, mut log, mut archive) = archived(10);
    let phone = alice.another_device();
    begin(&phone);
    read_some(&phone.profile, &archive, u64::MAX);
    alice.say(log.id, "message 10");
    log.send(&alice);
    make(&alice);
    send(&alice, &mut archive);
    read_some(&phone.profile, &archive, u64::MAX);
    let receipt = finish(&phone.profile);
    assert_eq!((receipt.restored, receipt.batches), (11, 2));
    assert!(receipt.is_complete(), "{receipt:?}");
    assert_eq!(phone.texts(log.id), expected(11));
}

#[test]
fn a_hole_is_counted_by_the_batches_around_it() {
    let (alice, log, mut archive) = archived(300);
    archive.remove(2);
    let phone = alice.another_device();
    let receipt = restore_all(&phone, &archive);
    assert_eq!((receipt.restored, receipt.messages), (300 - 64, 300));
    let missing = &receipt.missing[..];
    assert!(matches!(missing, [one] if (one.first, one.last, one.messages) == (3, 3, 64) && one.device == alice.device));
    assert_eq!(phone.texts(log.id).len(), 300 - 64);

    // The first batches, too.
    let tablet = alice.another_device();
    let receipt = restore_all(&tablet, &archive.split_off(2));
    assert_eq!((receipt.restored, receipt.messages), (300 - FIRST_BATCH as u64 - 2 * 64, 300));
}

#[test]
fn repeated_reordered_cut_changed_and_foreign_batches_are_refused_and_told() {
    let (alice, _log, mut archive) = archived(200);
    let (_, _, foreign) = archived(1);
    // 1 2 3 4 become 1, 3, 2, 4, and behind them the first again, a cut, a changed and another account's one.
    archive.swap(1, 2);
    archive.push(archive[0].clone());
    archive.push(archive[3][..40].to_vec());
    let mut changed = archive[3].clone();
    changed[60] ^= 1;
    archive.push(changed);
    archive.extend(foreign);
    let phone = alice.another_device();
    let receipt = restore_all(&phone, &archive);
    let refused: Vec<u64> = receipt.refused.iter().map(|refused| refused.seq).collect();
    let causes: Vec<&str> = receipt.refused.iter().map(|refused| refused.cause.as_str()).collect();
    assert!(causes.iter().any(|cause| cause.contains("repeats entry 5")), "{causes:?}");
    assert!(causes.iter().any(|cause| cause.contains("out of order")), "{causes:?}");
    assert!(causes.iter().any(|cause| cause.contains("cut off")), "{causes:?}");
    assert!(
        causes.iter().filter(|cause| cause.contains("does not open")).count() == 2,
        "{causes:?}"
    );
    assert!(refused.contains(&8) && refused.contains(&7) && refused.contains(&6), "{refused:?}");
    assert!(!receipt.is_complete());
}

#[test]
fn a_head_that_two_devices_saw_otherwise_is_told() {
    let (alice, log, mut archive) = archived(3);
    // The same profile, shown another log.
    let laptop = alice.another_device();
    archiving(&laptop);
    let mut other = Log::of(log.id);
    let bob = Device::new("bob2");
    laptop.found(other.id, Kind::Direct, &[&bob]);
    other.send(&laptop);
    for n in 0..3 {
        laptop.say(other.id, &format!("otherwise {n}"));
    }
    other.send(&laptop);
    make(&laptop);
    send(&laptop, &mut archive);
    let phone = alice.another_device();
    let receipt = restore_all(&phone, &archive);
    assert!(!receipt.heads_differ.is_empty(), "{receipt:?}");
    assert!(receipt.to_string().ends_with("heads DIFFER"));
}

#[test]
fn a_new_device_knows_whom_an_old_one_has_verified_and_what_it_has_accepted() {
    let alice = Device::new("alice");
    archiving(&alice);
    let (bob, carol) = (Device::new("bob"), Device::new("carol"));
    let changed = Device::of("carol", carol.account);
    let mut kept = Archive::new();
    let mut keep = || {
        make(&alice);
        send(&alice, &mut kept);
    };
    let meet = |to: &Device, who: &Device| {
        let name = who.name.parse().unwrap();
        let identity = IdentityKey::from_seed(&who.vouching).public();
        let met = to.profile.write(|tx| contacts::meet(tx, who.account, &name, &identity));
        met.unwrap()
    };
    assert_eq!((meet(&alice, &bob), meet(&alice, &carol)), (None, None));
    keep();
    alice.profile.write(|tx| contacts::save_verified(tx, bob.account)).unwrap();
    let claim = meet(&alice, &changed).expect("another identity than the pinned one");
    alice
        .profile
        .write(|tx| contacts::accept(tx, carol.account, &claim, false))
        .unwrap();
    keep();

    let phone = alice.another_device();
    let receipt = restore_all(&phone, &kept);
    assert!(receipt.is_complete(), "the older pin is no contradiction: {receipt:?}");
    let verified = |account| phone.profile.read(|tx| trust::is_verified(tx, account)).unwrap();
    assert!(verified(bob.account) && !verified(carol.account));
    assert_eq!((meet(&phone, &bob), meet(&phone, &changed)), (None, None));
    assert!(meet(&phone, &carol).is_some(), "the identity of before is not carol's any more");

    // What a device has seen itself it doesn't give up for the archive's word.
    let tablet = alice.another_device();
    assert_eq!(meet(&tablet, &carol), None);
    let receipt = restore_all(&tablet, &kept);
    assert!(
        receipt.troubles().iter().any(|told| told.contains("fastchat verify @carol")),
        "{receipt:?}"
    );
    assert_eq!(meet(&tablet, &carol), None);
}

#[test]
fn two_devices_that_archive_the_same_give_each_message_once() {
    let (alice, bob) = (Device::new("alice"), Device::new("bob"));
    archiving(&alice);
    let mut log = Log::new();
    let phone = alice.another_device();
    archiving(&phone);
    alice.found(log.id, Kind::Direct, &[&bob, &phone]);
    log.send(&alice);
    alice.read(&log);
    log.send(&alice);
    phone.read(&log);
    for n in 0..5 {
        alice.say(log.id, &format!("message {n}"));
    }
    log.send(&alice);
    phone.read(&log);
    let mut archive = Archive::new();
    for device in [&alice, &phone] {
        make(device);
        send(device, &mut archive);
    }
    let tablet = alice.another_device();
    let receipt = restore_all(&tablet, &archive);
    assert_eq!((receipt.restored, receipt.messages), (5, 5));
    assert!(receipt.heads_compared > 0 && receipt.is_complete(), "{receipt:?}");
    assert_eq!(tablet.texts(log.id), expected(5));
}

#[test]
fn nothing_is_archived_of_a_group_that_has_switched_it_off_and_nothing_that_disappears() {
    let alice = Device::new("alice");
    archiving(&alice);
    let mut log = Log::new();
    alice.found(log.id, Kind::Group, &[]);
    log.send(&alice);
    let set = |log: &mut Log, group: Group| {
        let content = Content {
            body: Body::Group(group),
            ..text("")
        };
        alice.profile.change(|groups, tx| Ok(groups.seal(tx, log.id, &content)?)).unwrap();
        log.send(&alice);
    };
    let say = |log: &mut Log, body: &str| {
        alice.say(log.id, body);
        log.send(&alice);
    };
    say(&mut log, "on");
    set(
        &mut log,
        Group {
            archive: Some(false),
            ..Group::default()
        },
    );
    say(&mut log, "off");
    set(
        &mut log,
        Group {
            archive: Some(true),
            ..Group::default()
        },
    );
    say(&mut log, "on again");
    set(
        &mut log,
        Group {
            retention_s: Some(60),
            ..Group::default()
        },
    );
    say(&mut log, "gone in a minute");
    let mut archive = Archive::new();
    make(&alice);
    send(&alice, &mut archive);
    let phone = alice.another_device();
    restore_all(&phone, &archive);
    assert_eq!(phone.texts(log.id), ["on", "on again"]);
    assert!(!alice.profile.read(|tx| rooms::is_archived(tx, log.id)).unwrap());
}

#[test]
fn a_batch_and_what_it_covers_are_one_change() {
    let (alice, _, archive) = archived(3);
    assert_eq!(archive.len(), 1);
    assert_eq!(make(&alice), 0, "nothing is archived twice");
    let unarchived = alice.say(ConversationId(archive_room(&alice)), "not sent, not archived");
    assert_eq!(make(&alice), 0, "it does not stand in its log yet: {unarchived}");
}

fn archive_room(device: &Device) -> [u8; 16] {
    device.profile.rooms().unwrap()[0].conversation.0
}

#[test]
fn what_this_device_reads_itself_takes_the_place_of_what_came_back() {
    let (alice, bob) = (Device::new("alice"), Device::new("bob"));
    archiving(&alice);
    let phone = alice.another_device();
    let mut log = Log::new();
    alice.found(log.id, Kind::Direct, &[&bob, &phone]);
    log.send(&alice);
    alice.read(&log);
    alice.say(log.id, "message 0");
    log.send(&alice);
    let mut archive = Archive::new();
    make(&alice);
    send(&alice, &mut archive);
    restore_all(&phone, &archive);
    assert_eq!(phone.texts(log.id), expected(1));
    phone.read(&log);
    assert_eq!(phone.texts(log.id), expected(1), "once");
    assert_eq!(
        phone
            .records()
            .iter()
            .filter(|record| matches!(record.what, What::Message(_)))
            .count(),
        1,
        "and it is news"
    );
}
