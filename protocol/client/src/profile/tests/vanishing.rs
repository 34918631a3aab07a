//! Messages that disappear, with the time as the tests have it.

use super::{archive::*, three::*, world::*};
use crate::{
    clock,
    profile::{Profile, archive, history, rooms},
    record::{RETENTION_S_MAX, Record, What},
};
use fastchat_e2e::{
    Content, EntryId,
    content::{Body, Edit, Group, React, Target},
    mls::Kind,
    store::Table,
};

const HOUR_S: u64 = 3_600;
const RECORDS: Table = Table::new("record");

fn retention(retention_s: u64) -> Body {
    Body::Group(Group {
        retention_s: Some(retention_s),
        ..Group::default()
    })
}

/// As an honest client says it, now.
fn text_now(words: &str) -> Content {
    Content {
        at_ms: clock::now_ms(),
        ..text(words)
    }
}

fn says_now(three: &mut Three, words: &str) -> EntryId {
    let content = text_now(words);
    three
        .bob
        .profile
        .change(|groups, tx| Ok(groups.seal(tx, three.log.id, &content)?))
        .unwrap();
    three.deliver(bob);
    content.id
}

fn messages(device: &Device, log: &Log) -> Vec<Record> {
    let mut records = device.profile.history(log.id, 100).unwrap();
    records.retain(|record| matches!(&record.what, What::Message(content) if !matches!(content.body, Body::Group(_))));
    records
}

#[test]
fn what_is_said_under_a_time_disappears_then_and_nothing_of_it_is_left() {
    let mut three = Three::meet();
    let stays = says_now(&mut three, "staying words");
    three.says(alice, retention(HOUR_S));
    let before = clock::now_ms();
    let goes = says_now(&mut three, "passing words");
    three.says(
        carol,
        Body::React(React {
            target: goes,
            emoji: "👍".to_owned(),
        }),
    );
    three.says(alice, retention(0));
    let later = says_now(&mut three, "lasting words");
    for device in three.all() {
        let due = three.seen(device, goes).vanishes_at_ms.unwrap();
        assert!(due >= before + HOUR_S * 1_000 && due <= clock::now_ms() + HOUR_S * 1_000);
        let last = device.profile.read(history::last).unwrap();
        assert_eq!(device.profile.sweep(due - 1).unwrap(), Some(due), "not a moment before");
        assert!(device.holds(RECORDS, "passing words"));
        assert_eq!(device.profile.sweep(due + 10_000).unwrap(), None);
        assert!(!device.holds(RECORDS, "passing words") && !device.holds(Table::new("record-amended"), "👍"));
        assert_eq!(three.seen(device, stays).vanishes_at_ms, None);
        assert_eq!(three.seen(device, later).vanishes_at_ms, None);
        assert_eq!(messages(device, &three.log).len(), 2, "nor the reaction");
        assert_eq!(device.profile.read(history::last).unwrap(), last);
    }
}

#[test]
fn a_place_that_became_free_is_never_another_records() {
    let mut three = Three::meet();
    three.says(alice, retention(HOUR_S));
    says_now(&mut three, "passing words");
    let last = three.carol.profile.read(history::last).unwrap();
    three.carol.profile.sweep(u64::MAX).unwrap();
    says_now(&mut three, "what comes next");
    let news = three.carol.profile.arrived_after(last, 10).unwrap();
    assert_eq!(news.len(), 1, "who had been shown all is shown this");
}

#[test]
fn what_was_on_its_way_for_longer_than_it_may_last_is_never_kept() {
    let mut three = Three::meet();
    three.says(alice, retention(HOUR_S));
    // The tests' log stands in 1970.
    let old = Content {
        at_ms: clock::now_ms() - HOUR_S * 1_000,
        ..text("late words")
    };
    three
        .bob
        .profile
        .change(|groups, tx| Ok(groups.seal(tx, three.log.id, &old)?))
        .unwrap();
    three.deliver(bob);
    for device in three.all() {
        assert!(!device.holds(RECORDS, "late words"));
    }
    let young = Content {
        at_ms: clock::now_ms() - (HOUR_S - 60) * 1_000,
        ..text("words")
    };
    three
        .bob
        .profile
        .change(|groups, tx| Ok(groups.seal(tx, three.log.id, &young)?))
        .unwrap();
    three.deliver(bob);
    assert_eq!(messages(&three.carol, &three.log).len(), 1);
}

#[test]
fn it_is_gone_when_a_device_that_was_off_starts() {
    let mut three = Three::meet();
    three.says(alice, retention(3));
    let goes = says_now(&mut three, "passing words");
    let due = three.seen(&three.carol, goes).vanishes_at_ms.unwrap();
    while clock::now_ms() < due {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let process = three.carol.another_process();
    assert!(
        process
            .history(three.log.id, 100)
            .unwrap()
            .iter()
            .all(|record| record.entry != Some(goes))
    );
}

#[test]
fn a_correction_goes_with_what_it_corrects_and_not_before_or_after() {
    let mut three = Three::meet();
    let stays = says_now(&mut three, "old words");
    three.says(alice, retention(HOUR_S));
    let goes = says_now(&mut three, "passing words");
    for target in [stays, goes] {
        three.says(
            bob,
            Body::Edit(Edit {
                target,
                body: "new words".to_owned(),
            }),
        );
    }
    three.carol.profile.sweep(u64::MAX).unwrap();
    let left = messages(&three.carol, &three.log);
    assert_eq!(left.len(), 2, "the message and its correction");
    assert!(left[0].edited && left[0].entry == Some(stays));
    // Nor does what was taken back come again.
    three.says(bob, Body::Delete(Target { target: stays }));
    three.carol.profile.sweep(u64::MAX).unwrap();
    assert!(three.seen(&three.carol, stays).taken_back);
}

#[test]
fn what_is_to_disappear_is_never_archived() {
    let mut three = Three::meet();
    let mut to = Archive::new();
    three.says(alice, retention(HOUR_S));
    says_now(&mut three, "passing words");
    make(&three.alice);
    send(&three.alice, &mut to);
    let phone = three.alice.another_device();
    restore_all(&phone, &to);
    assert!(messages(&phone, &three.log).is_empty());
    let known = |profile: &Profile| profile.read(|tx| rooms::retention_s(tx, three.log.id)).unwrap();
    assert_eq!(
        known(&phone.profile),
        HOUR_S,
        "a new device knows the time from the first message on"
    );
    assert_eq!(three.alice.profile.read(archive::waiting).unwrap(), archive::Waiting::Nothing);
}

#[test]
fn either_side_of_a_direct_chat_sets_the_time_and_nothing_else() {
    let (alice, bob) = (Device::new("alice"), Device::new("bob"));
    let mut log = Log::new();
    alice.found(log.id, Kind::Direct, &[&bob]);
    log.send(&alice);
    bob.read(&log);
    let settings = Body::Group(Group {
        name: Some("ours".to_owned()),
        archive: Some(false),
        retention_s: Some(HOUR_S),
        ..Group::default()
    });
    bob.tell(log.id, settings);
    log.send(&bob);
    alice.read(&log);
    for device in [&alice, &bob] {
        let room = device.profile.room(log.id).unwrap().unwrap();
        assert_eq!((room.retention_s, room.name), (HOUR_S, None));
        let known = device.profile.read(|tx| rooms::settings(tx, log.id)).unwrap().unwrap();
        assert_eq!(known.archive, None);
    }
    alice.tell(log.id, retention(0));
    log.send(&alice);
    bob.read(&log);
    assert_eq!(bob.profile.room(log.id).unwrap().unwrap().retention_s, 0);
}

#[test]
fn a_year_is_taken_and_more_is_not() {
    let mut three = Three::meet();
    three.says(alice, retention(RETENTION_S_MAX));
    three.says(alice, retention(RETENTION_S_MAX + 1));
    let room = three.carol.profile.room(three.log.id).unwrap().unwrap();
    assert_eq!(room.retention_s, RETENTION_S_MAX);
}
