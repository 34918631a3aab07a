//! A group's name and picture: from admins only, and whoever comes is told.

use super::{three::*, world::*};
use crate::{
    profile::compose,
    record::{GROUP_NAME_BYTES_MAX, PICTURE_BYTES_MAX, Room, What},
};
use fastchat_e2e::{
    BlobId,
    content::{Body, File, Group},
    secret::FileKey,
};

fn picture(size: u64, mime: &str) -> File {
    File {
        blob: BlobId([5; 16]),
        key: FileKey::new([6; 32]),
        sha256: [7; 32],
        size,
        name: "team.png".to_owned(),
        mime: mime.to_owned(),
        width: None,
        height: None,
        thumbnail: None,
    }
}

fn settings(name: Option<&str>, picture: Option<File>) -> Body {
    Body::Group(Group {
        name: name.map(str::to_owned),
        picture,
        ..Group::default()
    })
}

fn room(device: &Device, log: &Log) -> Room {
    device.profile.room(log.id).unwrap().unwrap()
}

#[test]
fn an_admin_names_the_group_and_gives_it_a_picture_and_a_plain_member_does_not() {
    let mut three = Three::meet();
    let (theirs, ours) = (picture(1, "image/png"), picture(PICTURE_BYTES_MAX, "image/jpeg"));
    three.says(alice, settings(Some("team"), Some(ours.clone())));
    three.says(carol, settings(Some("mine"), None));
    three.says(carol, settings(None, Some(theirs)));
    for device in three.all() {
        let room = room(device, &three.log);
        assert_eq!((room.name.as_deref(), room.picture), (Some("team"), Some(ours.clone())));
    }
    for device in [&three.alice, &three.bob] {
        for record in device.profile.history(three.log.id, 2).unwrap() {
            assert!(
                matches!(&record.what, What::Unreadable { cause } if cause.contains("only admins")),
                "{record:?}"
            );
        }
    }
    // What is so already may be said again, for newcomers.
    three.says(carol, settings(Some("team"), Some(ours)));
    let last = three.bob.profile.history(three.log.id, 1).unwrap().remove(0);
    assert!(matches!(last.what, What::Message(_)));
}

#[test]
fn who_comes_later_is_told_name_picture_and_how_long_messages_stay() {
    let mut three = Three::meet();
    let ours = picture(9, "image/png");
    let all = Group {
        name: Some("team".to_owned()),
        picture: Some(ours.clone()),
        retention_s: Some(60),
        archive: Some(false),
    };
    three.says(alice, Body::Group(all));
    let dave = Device::new("dave");
    three.alice.add(three.log.id, &dave);
    three.deliver(alice);
    dave.read(&three.log);
    let room = room(&dave, &three.log);
    assert_eq!((room.title(), room.retention_s, room.picture), ("#team".to_owned(), 60, Some(ours)));
}

#[test]
fn what_is_no_picture_is_not_taken_and_not_sent() {
    let mut three = Three::meet();
    for wrong in [picture(PICTURE_BYTES_MAX + 1, "image/png"), picture(1, "text/html")] {
        let settings = settings(None, Some(wrong));
        let id = three.log.id;
        let refused = three
            .alice
            .profile
            .look(|groups, tx| compose(groups, tx, id, settings.clone()).map(drop));
        assert_eq!(code(refused), "usage");
        three.says(alice, settings);
        assert!(room(&three.bob, &three.log).picture.is_none());
    }
    let long = "x".repeat(GROUP_NAME_BYTES_MAX + 1);
    let refused = three
        .alice
        .profile
        .look(|groups, tx| compose(groups, tx, three.log.id, settings(Some(&long), None)).map(drop));
    assert_eq!(code(refused), "usage");
}
