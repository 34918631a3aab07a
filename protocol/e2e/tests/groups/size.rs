//! Large groups: what each message writes, and how many devices a group has at most.

use crate::world::*;
use fastchat_e2e::{
    AccountId, DeviceId, DeviceKey, IdentityPublicKey,
    device::DevicePublicKey,
    groups::{Error, Groups, Payload},
    mls::{
        Charter, Intent, Invite, Kind, LEAVES_MAX, MemberDevice, Violation,
        rules::{Leaf, check_group},
    },
    store::{Scan, Store, Table},
};
use std::collections::BTreeMap;

/// The largest block of a frame (PROTOCOL.md, section 2).
const BLOCK_BYTES_MAX: usize = 4 << 20;
/// An id in a commit's lists: 36 characters, quotes and a comma.
const LISTED_BYTES: usize = 39;

/// Devices that are added and never look, with the longest names that there are.
fn guests(count: usize) -> Vec<(AccountId, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path()).unwrap();
    let made: Result<_, Error> = store.write(|tx| {
        (0..count)
            .map(|i| {
                let person = Person::new(&format!("{i:0>32}"));
                let key = DeviceKey::random(&mut rand::rng());
                let credential = person.credential(DeviceId(rand::random()), &key);
                let mut packages = Groups::new(&credential, &key).unwrap().make_key_packages(tx, 1, false, NOW)?;
                Ok((person.account, packages.remove(0)))
            })
            .collect()
    });
    made.unwrap()
}

fn invites(guests: &[(AccountId, Vec<u8>)]) -> Vec<Invite<'_>> {
    guests
        .iter()
        .map(|(account, key_package)| Invite {
            account: *account,
            key_package,
        })
        .collect()
}

/// Every row of a device's store, as it lies on the disk.
fn rows(device: &Device) -> BTreeMap<(String, Vec<u8>), Vec<u8>> {
    let disk = rusqlite::Connection::open(device.folder.path().join("store.db")).unwrap();
    let mut all = disk.prepare("SELECT tab, key, value FROM sealed").unwrap();
    let rows = all.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// What something writes: bytes by table. A value that is written again is sealed anew, and so is another one.
fn written(device: &mut Device, work: impl FnOnce(&mut Device)) -> BTreeMap<String, usize> {
    let before = rows(device);
    work(device);
    let mut bytes = BTreeMap::new();
    for ((table, key), value) in rows(device) {
        if before.get(&(table.clone(), key)) != Some(&value) {
            *bytes.entry(table).or_default() += value.len();
        }
    }
    bytes
}

/// What a message writes with its sender and with a receiver, once both have spoken in this epoch; and whether they
/// wrote the tree for the commit before.
fn a_message_in_a_group_of(members: usize) -> [BTreeMap<String, usize>; 3] {
    let guests = guests(members - 2);
    let mut devices = vec![Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    let [alice, bob] = &mut devices[..] else {
        unreachable!("two devices")
    };
    if !guests.is_empty() {
        alice.commit(chat, &Intent::Add(invites(&guests))).unwrap();
    }
    alice.send(&mut log);
    let commit = written(bob, |bob| _ = bob.sync(chat, &log));
    for _ in 0..2 {
        alice.say(chat, "hello");
        alice.send(&mut log);
        bob.sync(chat, &log);
        bob.say(chat, "hello");
        bob.send(&mut log);
        alice.sync(chat, &log);
    }
    assert_eq!(alice.accounts(chat).len(), members);
    let sender = written(alice, |alice| _ = alice.say(chat, "how much is this?"));
    alice.send(&mut log);
    let receiver = written(bob, |bob| assert_eq!(texts(&bob.sync(chat, &log)).len(), 1));
    [sender, receiver, commit]
}

#[test]
fn what_a_message_writes_does_not_grow_with_the_group() {
    let [small, large] = [2, 200].map(a_message_in_a_group_of);
    assert!(large[2]["group-tree"] > 50_000, "a commit writes the tree: {:?}", large[2]);
    for (small, large) in small.iter().zip(&large).take(2) {
        assert!(!large.contains_key("group-tree"), "a message does not: {large:?}");
        let [small, large] = [small, large].map(|bytes| bytes.values().sum::<usize>());
        // The keys on the way down to a leaf: one more for each doubling of the group.
        assert!(large < small + 512, "{small} bytes among 2, {large} among 200");
    }
}

#[test]
fn what_a_message_writes_does_not_grow_with_those_who_speak() {
    const SPEAKERS: usize = 24;
    let mut devices: Vec<_> = (0..SPEAKERS).map(|i| Device::new(&format!("speaker{i}"))).collect();
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    // The first thing that somebody says turns the keys on the way to their leaf; the second one their own alone.
    let mut bytes = Vec::new();
    for _ in 0..2 {
        for at in 0..SPEAKERS {
            let spoken = written(&mut devices[at], |device| _ = device.say(chat, "hello"));
            devices[at].send(&mut log);
            let heard = written(&mut devices[(at + 1) % SPEAKERS], |device| _ = device.sync(chat, &log));
            assert!(heard.contains_key("group-node"), "{heard:?}");
            bytes.push(spoken["group-node"]);
            for device in &mut devices {
                device.sync(chat, &log);
            }
        }
    }
    let most = bytes[SPEAKERS..].iter().max().unwrap();
    assert!(*most < 160, "{bytes:?}");
    // All of that is read again.
    let mut device = devices.remove(7).restart();
    device.say(chat, "still here");
    device.send(&mut log);
    assert_eq!(texts(&devices[8].sync(chat, &log)), ["still here"]);
}

#[test]
fn a_state_that_an_earlier_version_has_written_whole_goes_on() {
    let mut devices = vec![Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    let [alice, bob] = &mut devices[..] else {
        unreachable!("two devices")
    };
    alice.say(chat, "one");
    alice.send(&mut log);
    bob.sync(chat, &log);
    let (whole, nodes) = (Table::new("group-state"), Table::new("group-node"));
    let made_whole: Result<(), Error> = bob.store.write(|tx| {
        let row = tx.get(whole, chat.as_bytes())?.unwrap();
        let (at, rest) = row.expose()[1..].split_first_chunk().unwrap();
        let (before, after) = rest.split_at(u32::from_be_bytes(*at) as usize);
        let mut held = Vec::new();
        for (key, node) in tx.list(nodes, Scan::prefix(chat.as_bytes()))? {
            held.extend([&key[16..], node.expose()].concat());
            tx.delete(nodes, &key)?;
        }
        // MLS writes a length of this size in two bytes, the first of which begins with 01.
        let length = u16::try_from(held.len()).unwrap() | 0x4000;
        assert!(held.len() > 63);
        let snapshot = [before, &length.to_be_bytes(), &held, after].concat();
        Ok(tx.put(whole, chat.as_bytes(), &snapshot)?)
    });
    made_whole.unwrap();
    let mut bob = devices.remove(1).restart();
    let alice = &mut devices[0];
    for said in ["two", "three"] {
        alice.say(chat, said);
        alice.send(&mut log);
        let taken = written(&mut bob, |bob| assert_eq!(texts(&bob.sync(chat, &log)), [said]));
        assert_eq!(taken.contains_key("group-state"), said == "two", "from then on in parts: {taken:?}");
        bob = bob.restart();
    }
}

#[test]
fn the_most_devices_are_founded_by_one_frame() {
    const MEASURED: usize = 128;
    let mut alice = Device::new(&"a".repeat(32));
    let guests = guests(MEASURED);
    let chat = fastchat_e2e::ConversationId(rand::random());
    let made = alice
        .store
        .write(|tx| alice.groups.create(tx, chat, Kind::Group, invites(&guests), ids(), NOW));
    let Payload::Commit {
        commit,
        welcome: Some((_, welcome)),
        group_info,
        ..
    } = made.unwrap().payload
    else {
        panic!("a group is founded by a commit, with a Welcome");
    };
    // Named twice: as account, and as device.
    let one = (commit.len() + welcome.len() + group_info.len()) / MEASURED + 2 * LISTED_BYTES;
    assert!(one * LEAVES_MAX < BLOCK_BYTES_MAX, "{one} bytes each");
    assert!(one * LEAVES_MAX * 2 > BLOCK_BYTES_MAX, "the bound could be far higher");
}

#[test]
fn a_group_has_its_most_devices_and_not_one_more() {
    let leaf = |i: usize| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&i.to_be_bytes());
        let mut key = [0; 32];
        key[..8].copy_from_slice(&i.to_be_bytes());
        Leaf {
            who: MemberDevice {
                account: AccountId(id),
                device: DeviceId(id),
            },
            device_key: DevicePublicKey(key),
            identity_key: IdentityPublicKey(key),
        }
    };
    let leaves: Vec<Leaf> = (0..=LEAVES_MAX).map(leaf).collect();
    let charter = Charter::group(leaves[0].who.account);
    assert_eq!(check_group(leaves[..LEAVES_MAX].iter(), &charter), Ok(()));
    assert_eq!(check_group(leaves.iter(), &charter), Err(Violation::Full));
}
