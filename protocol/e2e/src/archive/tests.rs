//! A batch opens for who may, as its device sealed it, and for nobody else.

use super::*;
use crate::{
    credential::Credential,
    device::DeviceKey,
    identity::IdentityKey,
    secret::{BackupSeed, SigningSeed},
};

const ACCOUNT: AccountId = AccountId([1; 16]);
const DEVICE: DeviceId = DeviceId([2; 16]);
const CONTENT: &str = r#"{"v":1,"type":"text","id":"00000000-0000-0000-0000-000000000000","at":1,"body":"hello"}"#;

struct Account {
    identity: IdentityKey,
    key: DeviceKey,
    backup: BackupSeed,
}

fn identity(seed: u8) -> IdentityKey {
    IdentityKey::from_seed(&SigningSeed::new([seed; 32]))
}

fn account() -> Account {
    Account {
        identity: identity(3),
        key: DeviceKey::from_seed(&SigningSeed::new([4; 32])),
        backup: BackupSeed::new([5; 32]),
    }
}

impl Account {
    fn credential(&self, identity: &IdentityKey, account: AccountId, device: DeviceId) -> Vec<u8> {
        let name = "alice".parse().unwrap();
        let issued = Credential::issue(identity, account, name, device, self.key.public(), 7);
        issued.as_bytes().to_vec()
    }

    fn batch<'a>(&self, content: &'a RawValue, records: usize) -> Batch<'a> {
        let record = |n: usize| Record {
            conversation: ConversationId([6; 16]),
            seq: n as u64 + 1,
            entry: EntryId([0; 16]),
            from: ACCOUNT,
            device: DEVICE,
            at: 8,
            content,
            head: Some([9; 32]),
        };
        Batch {
            device: DEVICE,
            credential: self.credential(&self.identity, ACCOUNT, DEVICE),
            n: 1,
            prev: FIRST_PREV,
            messages: records as u64,
            records: (0..records).map(record).collect(),
            rooms: Vec::new(),
            pins: Vec::new(),
            gone: Vec::new(),
            placed: None,
        }
    }

    fn seal(&self, batch: &Batch<'_>) -> Vec<u8> {
        self.seal_for(ACCOUNT, batch)
    }

    fn seal_for(&self, account: AccountId, batch: &Batch<'_>) -> Vec<u8> {
        seal_batch(account, &self.key, &self.backup.public(), batch, &mut rand::rng()).unwrap()
    }

    fn opener(&self) -> Opener {
        Opener::new(ACCOUNT, self.identity.public(), [(1, self.backup.clone())])
    }
}

fn content() -> Box<RawValue> {
    RawValue::from_string(CONTENT.to_owned()).unwrap()
}

#[test]
fn a_batch_is_read_back_with_every_byte_of_its_messages() {
    let (it, content) = (account(), content());
    let mut batch = it.batch(&content, RECORDS_MAX);
    let room = Room {
        conversation: ConversationId([6; 16]),
        peer: None,
        name: Some("team".into()),
        archive: Some(true),
        retention_s: None,
        out: false,
        admins: vec![ACCOUNT],
        seq: 64,
        head: None,
        epoch: 3,
        mls_epoch: 2,
    };
    let pin = Pin {
        account: AccountId([7; 16]),
        username: "bob".into(),
        identity: [8; 32],
        verified: true,
    };
    let gone = Gone {
        device: DeviceId([10; 16]),
        last: [11; 32],
    };
    let placed = Placed { n: 1, seq: 12 };
    (batch.rooms, batch.pins) = (vec![room.clone()], vec![pin.clone()]);
    (batch.gone, batch.placed) = (vec![gone], Some(placed));
    let opened = it.opener().open(&it.seal(&batch)).unwrap();
    let read = opened.batch().unwrap();
    assert_eq!((read.n, read.messages, read.records.len()), (1, 64, 64));
    assert!(read.records.iter().all(|record| record.content.get() == CONTENT));
    assert_eq!(read.records[0].head, Some([9; 32]));
    assert_eq!((&read.rooms[..], &read.pins[..]), (&[room][..], &[pin][..]));
    assert_eq!((&read.gone[..], read.placed), (&[gone][..], Some(placed)));
    assert_eq!(opened.generation, 1);
}

#[test]
fn any_changed_or_missing_byte_is_refused() {
    let (it, content) = (account(), content());
    let block = it.seal(&it.batch(&content, 1));
    for i in 0..block.len() {
        let mut changed = block.clone();
        changed[i] ^= 1;
        assert!(it.opener().open(&changed).is_err(), "byte {i}");
        assert!(it.opener().open(&block[..i]).is_err(), "{i} bytes");
    }
    assert_eq!(it.opener().open(&block[..48]).unwrap_err(), ArchiveError::Truncated);
    assert!(it.opener().open(&[&block[..], &[0]].concat()).is_err());
}

#[test]
fn another_accounts_batch_is_refused_whoever_sealed_it() {
    let (it, content) = (account(), content());
    let other = AccountId([0xee; 16]);
    let batch = it.batch(&content, 1);
    assert_eq!(it.opener().open(&it.seal_for(other, &batch)).unwrap_err(), ArchiveError::Unopened);
    // Sealed to this account's backup key, by a device of another account or under another identity.
    for (vouching, account, device) in [
        (&it.identity, other, DEVICE),
        (&identity(0xee), ACCOUNT, DEVICE),
        (&it.identity, ACCOUNT, DeviceId([0xee; 16])),
    ] {
        let foreign = Batch {
            credential: it.credential(vouching, account, device),
            ..it.batch(&content, 1)
        };
        assert_eq!(it.opener().open(&it.seal(&foreign)).unwrap_err(), ArchiveError::Device);
    }
    let unsigned = Batch {
        credential: Vec::new(),
        ..batch
    };
    assert_eq!(it.opener().open(&it.seal(&unsigned)).unwrap_err(), ArchiveError::Device);
}

#[test]
fn who_has_the_backup_key_and_not_the_devices_forges_nothing() {
    let (it, content) = (account(), content());
    let forger = Account {
        key: DeviceKey::from_seed(&SigningSeed::new([0xee; 32])),
        ..account()
    };
    let block = forger.seal(&it.batch(&content, 1));
    assert_eq!(it.opener().open(&block).unwrap_err(), ArchiveError::Signature);
}

#[test]
fn each_generation_of_the_backup_key_opens_what_was_sealed_to_it_and_one_that_is_gone_nothing() {
    let (it, content) = (account(), content());
    let newer = Account {
        backup: BackupSeed::new([6; 32]),
        ..account()
    };
    let both = Opener::new(ACCOUNT, it.identity.public(), [(1, it.backup.clone()), (2, newer.backup.clone())]);
    let (old, new) = (it.seal(&it.batch(&content, 1)), newer.seal(&it.batch(&content, 1)));
    assert_eq!(both.open(&old).unwrap().generation, 1);
    assert_eq!(both.open(&new).unwrap().generation, 2);
    assert_eq!(newer.opener().open(&old).unwrap_err(), ArchiveError::Unopened);
}

#[test]
fn one_message_more_than_a_batch_may_have_is_neither_sealed_nor_taken() {
    let (it, content) = (account(), content());
    let backup = it.backup.public();
    let batch = it.batch(&content, RECORDS_MAX + 1);
    let sealed = seal_batch(ACCOUNT, &it.key, &backup, &batch, &mut rand::rng());
    assert_eq!(sealed.unwrap_err(), ArchiveError::TooMany);
    let pin = |n: usize| Pin {
        account: AccountId([u8::try_from(n % 256).unwrap(); 16]),
        username: "bob".into(),
        identity: [8; 32],
        verified: true,
    };
    let gone = |_| Gone {
        device: DEVICE,
        last: FIRST_PREV,
    };
    let full = Batch {
        pins: (0..STATES_MAX).map(pin).collect(),
        gone: (0..STATES_MAX).map(gone).collect(),
        ..it.batch(&content, 0)
    };
    assert!(it.opener().open(&it.seal(&full)).is_ok());
    for over in [
        Batch {
            pins: (0..=STATES_MAX).map(pin).collect(),
            ..it.batch(&content, 0)
        },
        Batch {
            gone: (0..=STATES_MAX).map(gone).collect(),
            ..it.batch(&content, 0)
        },
    ] {
        let sealed = seal_batch(ACCOUNT, &it.key, &backup, &over, &mut rand::rng());
        assert_eq!(sealed.unwrap_err(), ArchiveError::TooMany);
    }
}

#[test]
fn a_backup_key_of_small_order_is_not_sealed_to() {
    let (it, content) = (account(), content());
    let all_know = crate::backup::BackupPublicKey([0; 32]);
    let sealed = seal_batch(ACCOUNT, &it.key, &all_know, &it.batch(&content, 1), &mut rand::rng());
    assert_eq!(sealed.unwrap_err(), ArchiveError::Unopened);
}

#[test]
fn a_batch_without_a_number_or_with_more_messages_than_it_counts_is_malformed() {
    let (it, content) = (account(), content());
    for bad in [
        Batch {
            n: 0,
            ..it.batch(&content, 1)
        },
        Batch {
            messages: 0,
            ..it.batch(&content, 1)
        },
    ] {
        assert_eq!(it.opener().open(&it.seal(&bad)).unwrap_err(), ArchiveError::Malformed);
    }
}

#[test]
fn a_later_version_asks_for_an_update() {
    let it = account();
    assert_eq!(it.opener().open(&[2; 100]).unwrap_err(), ArchiveError::Version(2));
}

#[test]
fn nothing_of_a_message_is_in_what_debug_shows() {
    let (it, content) = (account(), content());
    let batch = it.batch(&content, 1);
    let opened = it.opener().open(&it.seal(&batch)).unwrap();
    let shown = format!("{batch:?} {:?} {opened:?} {:?}", batch.records, it.opener());
    assert!(!shown.contains("hello"), "{shown}");
}

/// Which of these blocks, newest first, are the device's; each is named by a byte, and so is the one before it.
fn led_to(marks: &[u8], blocks: &[(u8, u8)]) -> (Vec<u8>, bool) {
    let mut trail = Trail::new(marks.iter().map(|mark| [*mark; 32]));
    let mut led = Vec::new();
    for (hash, prev) in blocks {
        if trail.leads_to(&[*hash; 32], &[*prev; 32]) {
            led.push(*hash);
        }
    }
    (led, trail.lacks_the_last())
}

#[test]
fn of_a_device_that_was_sent_away_counts_what_leads_to_its_last_batch_and_nothing_else() {
    let honest = [(3, 2), (2, 1), (1, 0)];
    assert_eq!(led_to(&[], &[(9, 8), (3, 2)]).0, [9, 3], "a device that nobody sent away");
    assert_eq!(led_to(&[3], &honest), (vec![3, 2, 1], false));
    // Behind its last one, in place of another one, one more of the first.
    assert_eq!(led_to(&[3], &[(5, 4), (4, 3), (3, 2), (2, 1), (1, 0)]).0, [3, 2, 1]);
    assert_eq!(led_to(&[3], &[(3, 2), (12, 1), (2, 1), (11, 0), (1, 0)]).0, [3, 2, 1]);
    assert_eq!(led_to(&[3], &[(3, 2), (2, 1), (1, 0), (1, 0)]).0, [3, 2, 1], "each once");
    // Before a hole, nothing is known to be its own.
    assert_eq!(led_to(&[3], &[(3, 2), (1, 0)]), (vec![3], false));
    assert_eq!(led_to(&[3], &[(2, 1), (1, 0)]), (vec![], true), "its last one is kept back");
    assert_eq!(led_to(&[0], &honest), (vec![], false), "it had written nothing");
}

#[test]
fn where_marks_differ_what_all_of_them_lead_to_counts() {
    let honest = [(3, 2), (2, 1), (1, 0)];
    assert_eq!(led_to(&[3, 2], &honest), (vec![2, 1], false));
    assert_eq!(led_to(&[3, 3], &honest), (vec![3, 2, 1], false));
    assert_eq!(led_to(&[3, 9], &honest), (vec![], true));
    let as_many: Vec<u8> = (0..u8::try_from(MARKS_MAX).unwrap()).map(|n| 100 + n).collect();
    let mut trail = Trail::new(as_many.iter().map(|mark| [*mark; 32]));
    assert!(!trail.leads_to(&[100; 32], &[0; 32]), "not the others' last one");
    // One more than are looked at: were the first ones enough, a flood of marks would push out the honest one.
    let same_block = [[7; 32]; MARKS_MAX];
    assert!(Trail::new(same_block).leads_to(&[7; 32], &[0; 32]), "alike ones are one");
    let one_more = as_many.iter().copied().chain([7]);
    let mut lost = Trail::new(one_more.map(|mark| [mark; 32]));
    assert!(!lost.leads_to(&[7; 32], &[0; 32]));
}
