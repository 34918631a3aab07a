//! A device that was sent away, and what whoever has its keys puts into the archive in its name.

use super::{archive::*, world::*};
use crate::{
    ids::new_entry,
    profile::{archive, contacts, devices, restore},
    receipt::Receipt,
};
use fastchat_e2e::{
    Content, DeviceId, EntryId, IdentityKey,
    archive::{Batch, FIRST_PREV, Gone, Pin, Record, STATES_MAX},
    content::Body,
    mls::{Kind, MemberDevice},
    secret::SigningSeed,
};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Alice's laptop and tablet, each of which has archived two batches of a conversation with bob.
struct Two {
    laptop: Device,
    tablet: Device,
    bob: Device,
    log: Log,
    archive: Archive,
}

fn hash(block: &[u8]) -> [u8; 32] {
    Sha256::digest(block).into()
}

fn two() -> Two {
    let (laptop, bob) = (Device::new("alice"), Device::new("bob"));
    let tablet = laptop.another_device();
    archiving(&laptop);
    archiving(&tablet);
    let mut log = Log::new();
    laptop.found(log.id, Kind::Direct, &[&bob, &tablet]);
    log.send(&laptop);
    tablet.read(&log);
    let mut it = Two {
        laptop,
        tablet,
        bob,
        log,
        archive: Archive::new(),
    };
    for n in 0..2 {
        for name in ["laptop", "tablet"] {
            it.says(name == "tablet", &format!("{name} {n}"));
        }
    }
    it
}

impl Two {
    /// One of the two says something and archives what it has.
    fn says(&mut self, is_tablet: bool, body: &str) {
        let device = if is_tablet { &self.tablet } else { &self.laptop };
        device.read(&self.log);
        device.say(self.log.id, body);
        self.log.send(device);
        make(device);
        send(device, &mut self.archive);
    }

    /// The laptop sends the tablet away, and archives what that had archived last.
    fn tablet_is_sent_away(&mut self) {
        let (account, device) = (self.tablet.account, self.tablet.device);
        let last = hash(&self.archive[3]);
        let unnoted = self.laptop.profile.write(|tx| {
            devices::gone(tx, MemberDevice { account, device })?;
            let before = devices::without_last(tx, account)?;
            archive::note_gone(tx, device, last)?;
            Ok((before, devices::without_last(tx, account)?))
        });
        assert_eq!(unnoted.unwrap(), (vec![device], Vec::new()));
        assert_eq!(make(&self.laptop), 1, "that alone is reason enough for a batch");
        send(&self.laptop, &mut self.archive);
    }

    /// In the tablet's name, by whoever has it: says at a number of the conversation what nobody said there.
    fn forged(&self, n: u64, prev: [u8; 32], seq: u64, change: impl FnOnce(&mut Batch<'_>)) -> Vec<u8> {
        let entry = new_entry();
        let content = said_at(entry, "never said");
        self.tablet.seals(&seed().public(), |credential| {
            let mut batch = Batch {
                device: self.tablet.device,
                credential,
                n,
                prev,
                messages: n,
                records: vec![Record {
                    conversation: self.log.id,
                    seq,
                    entry,
                    from: self.bob.account,
                    device: self.bob.device,
                    at: 1,
                    content: &content,
                    head: None,
                }],
                rooms: Vec::new(),
                pins: Vec::new(),
                gone: Vec::new(),
                placed: None,
            };
            change(&mut batch);
            batch
        })
    }

    /// What a new device has of it: the receipt, and what was said.
    fn restored(&self) -> (Receipt, Vec<String>) {
        let phone = self.laptop.another_device();
        let receipt = restore_all(&phone, &self.archive);
        (receipt, phone.texts(self.log.id))
    }
}

fn said_at(entry: EntryId, body: &str) -> Box<RawValue> {
    let content = Content {
        id: entry,
        at_ms: 1,
        body: Body::text(body),
    };
    serde_json::from_slice(content.encode().unwrap().expose()).unwrap()
}

fn ignored(receipt: &Receipt) -> u64 {
    receipt.ignored_batches()
}

const SAID: [&str; 4] = ["laptop 0", "tablet 0", "laptop 1", "tablet 1"];

#[test]
fn what_a_device_archived_before_it_was_sent_away_comes_back_and_nothing_that_was_made_up_since() {
    let mut it = two();
    it.tablet_is_sent_away();
    let (receipt, said) = it.restored();
    assert!(receipt.is_complete(), "{receipt:?}");
    assert_eq!(said, SAID);

    // Behind its last one, as it would have gone on.
    let next = it.forged(3, hash(&it.archive[3]), 90, |_| {});
    it.archive.push(it.forged(4, hash(&next), 91, |_| {}));
    it.archive.insert(4, next);
    let (receipt, said) = it.restored();
    assert_eq!((ignored(&receipt), receipt.ignored[0].device), (2, it.tablet.device), "{receipt:?}");
    assert_eq!((receipt.restored, receipt.messages), (4, 4));
    assert_eq!(said, SAID);
    assert!(!receipt.is_complete());
    assert!(receipt.to_string().ends_with("; 2 batches ignored"), "{receipt}");
}

#[test]
fn what_is_put_in_the_place_of_what_a_gone_device_archived_is_not_taken_for_it() {
    let mut it = two();
    it.tablet_is_sent_away();
    // A chain of its own, with the numbers of the true one, before and behind it in the log.
    let first = it.forged(1, FIRST_PREV, 90, |_| {});
    let second = it.forged(2, hash(&first), 91, |_| {});
    let true_ones = it.archive.clone();
    it.archive = [&[first.clone(), second.clone()][..], &true_ones].concat();
    let (receipt, said) = it.restored();
    assert_eq!((ignored(&receipt), &said[..]), (2, &SAID.map(str::to_owned)[..]), "{receipt:?}");
    it.archive = [&true_ones, &[first.clone(), second.clone()][..]].concat();
    let (receipt, said) = it.restored();
    assert_eq!((ignored(&receipt), &said[..]), (2, &SAID.map(str::to_owned)[..]), "{receipt:?}");
    assert!(
        receipt.refused.is_empty(),
        "the true ones are no repetitions of the others: {receipt:?}"
    );

    // In its place, and the true ones are kept back: then the last one is missed, and the rest is the laptop's.
    it.archive = true_ones;
    (it.archive[1], it.archive[3]) = (first, second);
    let (receipt, said) = it.restored();
    assert!(!said.contains(&"never said".to_owned()), "{said:?}");
    assert!(receipt.ignored[0].lacks_last, "{receipt:?}");
}

#[test]
fn no_name_and_no_identity_is_believed_before_the_mark_is_known_wherever_it_stands() {
    let mut it = two();
    it.tablet_is_sent_away();
    let impostor = IdentityKey::from_seed(&SigningSeed::random(&mut rand::rng()));
    let pin = Pin {
        account: it.bob.account,
        username: it.bob.name.clone(),
        identity: impostor.public().0,
        verified: true,
    };
    let newest = it.forged(3, hash(&it.archive[3]), 90, |batch| batch.pins.push(pin));
    it.archive.push(newest);
    let phone = it.laptop.another_device();
    begin(&phone);
    read_some(&phone.profile, &it.archive, 1);
    assert_eq!(phone.texts(it.log.id), Vec::<String>::new());
    let identity = IdentityKey::from_seed(&it.bob.vouching).public();
    let met = phone
        .profile
        .write(|tx| contacts::meet(tx, it.bob.account, &it.bob.name.parse().unwrap(), &identity));
    assert_eq!(met.unwrap(), None, "bob is who he is");
}

#[test]
fn each_later_batch_tells_of_the_device_again_so_that_the_first_that_did_can_be_kept_back() {
    let mut it = two();
    it.tablet_is_sent_away();
    it.says(false, "laptop 2");
    // The very batch that told it first is kept back.
    it.archive.remove(4);
    it.archive.push(it.forged(3, hash(&it.archive[3]), 90, |_| {}));
    let (receipt, said) = it.restored();
    assert_eq!(ignored(&receipt), 1, "{receipt:?}");
    assert_eq!(receipt.missing.len(), 1);
    assert_eq!(said, [&SAID[..], &["laptop 2"]].concat());
}

#[test]
fn marks_that_whoever_has_the_device_makes_take_away_and_add_nothing() {
    let mut it = two();
    it.tablet_is_sent_away();
    // Its own mark names the made up one.
    let (device, last) = (it.tablet.device, hash(&it.archive[3]));
    let made_up = it.forged(3, last, 90, |_| {});
    let later = Gone {
        device,
        last: hash(&made_up),
    };
    let vouching = it.forged(4, hash(&made_up), 91, |batch| batch.gone.push(later));
    it.archive.insert(0, vouching.clone());
    it.archive.extend([made_up, vouching]);
    let (receipt, said) = it.restored();
    assert_eq!(ignored(&receipt), 3, "{receipt:?}");
    assert_eq!(said, SAID);
}

#[test]
fn what_was_taken_before_the_server_showed_the_mark_is_told_loudly() {
    let mut it = two();
    it.tablet_is_sent_away();
    let mark = it.archive.pop().unwrap();
    it.archive.push(it.forged(3, hash(&it.archive[3]), 90, |_| {}));
    let phone = it.laptop.another_device();
    begin(&phone);
    read_some(&phone.profile, &it.archive, u64::MAX);
    it.archive.push(mark);
    read_some(&phone.profile, &it.archive, u64::MAX);
    let receipt = finish(&phone.profile);
    assert_eq!(receipt.ignored[0].taken, 1, "{receipt:?}");
    let told = receipt.troubles().join("\n");
    assert!(
        told.contains("WARNING: 1 batch in the name of device") && told.contains("new profile"),
        "{told}"
    );
}

#[test]
fn what_is_not_shown_again_as_it_was_judged_is_not_taken() {
    let mut it = two();
    it.tablet_is_sent_away();
    let phone = it.laptop.another_device();
    begin(&phone);
    look(&phone.profile, &it.archive);
    // Now that nobody looks any more: another one of the tablet's, and nothing that opens.
    it.archive[3] = it.forged(2, hash(&it.archive[1]), 90, |_| {});
    it.archive[2].truncate(40);
    take_some(&phone.profile, &it.archive, u64::MAX);
    let receipt = finish(&phone.profile);
    let refused: Vec<(u64, &str)> = receipt.refused.iter().map(|one| (one.seq, one.cause.as_str())).collect();
    let cause = "the server showed another entry there just before";
    assert_eq!(refused, [(4, cause), (3, cause)]);
    assert_eq!(phone.texts(it.log.id), ["laptop 0", "tablet 0"]);
}

#[test]
fn what_was_looked_through_and_is_not_there_any_more_is_missed() {
    let it = two();
    let phone = it.laptop.another_device();
    begin(&phone);
    look(&phone.profile, &it.archive);
    // The server has trimmed its beginning meanwhile.
    let state = phone.profile.read(restore::state).unwrap().unwrap();
    take_some(&phone.profile, &it.archive, 3);
    let taken = phone.profile.change(|groups, tx| restore::take(groups, tx, state.next - 3, 1, &[]));
    taken.unwrap();
    let receipt = finish(&phone.profile);
    assert_eq!(receipt.missing.len(), 1, "{receipt:?}");
    assert_eq!(receipt.restored, 4, "the tablet had archived the first one, too: {receipt:?}");
    assert!(receipt.refused[0].cause.contains("not any more"), "{receipt:?}");
}

#[test]
fn entries_that_the_server_takes_out_between_two_devices_last_ones_are_noticed() {
    let mut it = two();
    it.says(false, "laptop 2");
    let (receipt, _) = it.restored();
    assert!(receipt.is_complete(), "{receipt:?}");
    // Behind the tablet's last one that is shown, so its own batches have no hole.
    it.archive.remove(3);
    it.says(false, "laptop 3");
    let (receipt, _) = it.restored();
    assert!(receipt.missing.is_empty() && receipt.moved.is_some(), "{receipt:?}");
    assert!(receipt.troubles()[0].starts_with("WARNING: what was entry 5"), "{receipt:?}");
}

#[test]
fn a_batch_tells_of_as_many_gone_devices_as_it_may_and_the_next_one_of_those_that_had_no_room() {
    let it = two();
    let note = |n: usize| {
        let mut device = [0; 16];
        device[..8].copy_from_slice(&(n as u64).to_be_bytes());
        it.laptop.profile.write(|tx| archive::note_gone(tx, DeviceId(device), [7; 32]))
    };
    (0..=STATES_MAX).for_each(|n| note(n).unwrap());
    let mut archive = Archive::new();
    make(&it.laptop);
    send(&it.laptop, &mut archive);
    let phone = it.laptop.another_device();
    begin(&phone);
    let opener = phone.profile.read(restore::opener).unwrap().unwrap();
    let told: Vec<Vec<Gone>> = archive
        .iter()
        .map(|block| opener.open(block).unwrap().batch().unwrap().gone)
        .collect();
    assert!(told.len() > 1 && told.iter().all(|gone| gone.len() <= STATES_MAX), "{}", told.len());
    let all: std::collections::BTreeSet<_> = told.iter().flatten().map(|gone| gone.device).collect();
    assert_eq!(all.len(), STATES_MAX + 1);
}
