//! A client that is killed: what was written is there, what was not never was.

use crate::world::*;
use fastchat_e2e::{
    groups::{Error, Payload, What},
    mls::{GroupError, Intent, Kind},
    store::{StoreError, Table},
};

#[test]
fn killed_between_written_and_sent_the_same_bytes_go_out_once() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, mut bob] = devices;
    let mut alice = alice;
    let sealed = alice.say(chat, "written, not sent");
    let alice = alice.restart();
    assert_eq!(
        alice.store.read(|tx| alice.groups.pending(tx)).unwrap(),
        std::slice::from_ref(&sealed)
    );
    // Killed again, now after sending and before the answer was written down.
    assert!(matches!(log.take(alice.me(), &sealed), Answer::Seq(_)));
    let mut alice = alice.restart();
    assert_eq!(alice.store.read(|tx| alice.groups.pending(tx)).unwrap(), [sealed]);
    alice.send(&mut log);
    alice.say(chat, "and on");
    alice.send(&mut log);
    assert_eq!(texts(&bob.sync(chat, &log)), ["written, not sent", "and on"]);
    assert!(alice.store.read(|tx| alice.groups.pending(tx)).unwrap().is_empty());
}

#[test]
fn killed_before_the_transaction_ends_nothing_was_sealed_and_no_key_is_used_twice() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    let mut lost = None;
    let undone: Result<(), Error> = alice.store.write(|tx| {
        lost = Some(alice.groups.seal(tx, chat, &text("never committed"))?);
        Err(Error::Behind)
    });
    assert!(undone.is_err());
    assert!(alice.store.read(|tx| alice.groups.pending(tx)).unwrap().is_empty());
    // The group in memory had moved on; it is not used.
    let kept = alice.say(chat, "committed");
    assert_ne!(Some(kept.payload), lost.map(|lost| lost.payload));
    alice.send(&mut log);
    assert_eq!(texts(&bob.sync(chat, &log)), ["committed"]);
}

#[test]
fn a_commit_survives_a_restart_and_is_applied_when_it_stands_in_the_log() {
    let mut devices = [Device::new("alice"), Device::new("bob"), Device::new("carol")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices[..2]);
    let [mut alice, mut bob, mut carol] = devices;
    let package = carol.key_package();
    let made = alice.commit(chat, &Intent::Add(vec![invite(&carol, &package)])).unwrap();
    let alice = alice.restart();
    let waiting = alice.store.read(|tx| alice.groups.pending(tx)).unwrap();
    assert_eq!(waiting, std::slice::from_ref(&made));
    assert!(matches!(&waiting[0].payload, Payload::Commit { welcome: Some(_), added, .. } if *added == [carol.me().account]));
    // Sent; the answer is lost; the log brings it back instead.
    log.take(alice.me(), &made);
    let mut alice = alice.restart();
    let got = alice.sync(chat, &log);
    assert!(
        got.iter()
            .any(|one| matches!(&one.what, What::Commit { applied, .. } if applied.author.who == alice.me()))
    );
    alice.send(&mut log);
    bob.sync(chat, &log);
    carol.sync(chat, &log);
    carol.say(chat, "made it");
    carol.send(&mut log);
    assert_eq!(texts(&alice.sync(chat, &log)), ["made it"]);
    assert_eq!(texts(&bob.sync(chat, &log)), ["made it"]);
}

#[test]
fn two_processes_of_one_profile_send_and_listen_side_by_side() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, mut log) = conversation(Kind::Direct, &mut devices);
    let [alice, bob] = &mut devices;
    let other_store = fastchat_e2e::store::Store::open(alice.folder.path()).unwrap();
    let mut other = fastchat_e2e::groups::Groups::new(&alice.credential, &alice.key).unwrap();
    for i in 0..6 {
        if i % 2 == 0 {
            alice.say(chat, &i.to_string());
        } else {
            other_store.write(|tx| other.seal(tx, chat, &text(&i.to_string()))).unwrap();
        }
        bob.say(chat, "meanwhile");
        bob.send(&mut log);
        alice.sync(chat, &log);
    }
    alice.send(&mut log);
    assert_eq!(texts(&bob.sync(chat, &log)), ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn a_damaged_state_is_told_and_nothing_is_sent_from_it() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, _) = conversation(Kind::Direct, &mut devices);
    let [alice, _] = devices;
    let alice = alice.restart();
    for (table, bytes) in [
        ("group-state", &b"\0\x01no state"[..]),
        ("group-tree", &[0x41, 0xff]),
        ("conversation", b"{}"),
    ] {
        let mut alice_groups = fastchat_e2e::groups::Groups::new(&alice.credential, &alice.key).unwrap();
        let told: Result<(), Error> = alice.store.write(|tx| {
            tx.put(Table::new(table), chat.as_bytes(), bytes)?;
            alice_groups.seal(tx, chat, &text("not from a damaged state")).map(drop)
        });
        let told = told.unwrap_err();
        assert!(
            matches!(told, Error::Damaged(_) | Error::Group(GroupError::Damaged(_))),
            "{table}: {told:?}"
        );
        assert!(told.to_string().contains("restore the profile"), "{told}");
    }
}

#[test]
fn a_state_of_another_row_or_with_a_flipped_bit_does_not_open() {
    let mut devices = [Device::new("alice"), Device::new("bob")];
    let (chat, _) = conversation(Kind::Direct, &mut devices);
    let [alice, _] = devices;
    let file = alice.store.path().to_owned();
    let (folder, credential, key) = (alice.folder, alice.credential, alice.key);
    drop(alice.store);
    let raw = rusqlite::Connection::open(&file).unwrap();
    let flip = "UPDATE sealed SET value = CAST(substr(value, 1, 20) || iif(substr(value, 21, 1) = x'00', x'01', x'00') || substr(value, 22) AS BLOB)
                WHERE tab = 'group-state'";
    assert_eq!(raw.execute(flip, ()).unwrap(), 1);
    drop(raw);
    let store = fastchat_e2e::store::Store::open(folder.path()).unwrap();
    let mut groups = fastchat_e2e::groups::Groups::new(&credential, &key).unwrap();
    let told = store.write(|tx| groups.seal(tx, chat, &text("no"))).unwrap_err();
    assert!(
        matches!(told, Error::Store(StoreError::Unopened { table: "group-state", .. })),
        "{told:?}"
    );
}
