//! Messages come back as they were written; others are told apart.

use super::*;
use crate::{
    id::{AccountId, BlobId},
    secret::FileKey,
};

const ENTRY: EntryId = EntryId([1; 16]);
const OTHER: EntryId = EntryId([2; 16]);

fn content(body: Body) -> Content {
    Content {
        id: ENTRY,
        at_ms: 1_700_000_000_000,
        body,
    }
}

fn picture() -> File {
    File {
        blob: BlobId([3; 16]),
        key: FileKey::new([4; 32]),
        sha256: [5; 32],
        size: 123,
        name: "cat.png".into(),
        mime: "image/png".into(),
        width: Some(4),
        height: Some(3),
        thumbnail: Some(vec![6; THUMBNAIL_BYTES_MAX]),
    }
}

fn message(rest: &str) -> Vec<u8> {
    format!("{{\"v\":1,\"id\":\"{ENTRY}\",\"at\":5,{rest}}}").into_bytes()
}

#[test]
fn every_type_is_read_back() {
    let text = "hello \u{1f431}".to_owned();
    let bodies = [
        Body::Text(Text {
            body: text.clone(),
            reply_to: Some(OTHER),
            mentions: vec![AccountId([7; 16])],
        }),
        Body::Edit(Edit { target: OTHER, body: text }),
        Body::Delete(Target { target: OTHER }),
        Body::React(React {
            target: OTHER,
            emoji: "👍🏽".to_owned(),
        }),
        Body::File(picture()),
        Body::Group(Group {
            name: Some("team".into()),
            picture: Some(picture()),
            retention_s: Some(60),
            archive: Some(false),
        }),
        Body::Group(Group::default()),
        Body::Notice(Notice {
            notice: "added".into(),
            accounts: vec![AccountId([7; 16])],
        }),
    ];
    for body in bodies {
        let written = content(body);
        let bytes = written.encode().unwrap();
        assert_eq!(Content::parse(bytes.expose(), ENTRY).unwrap(), written);
    }
}

#[test]
fn the_form_is_the_documented_one() {
    let bytes = content(Body::Text(Text {
        body: "hi".into(),
        reply_to: None,
        mentions: vec![],
    }))
    .encode()
    .unwrap();
    let expected = "{\"v\":1,\"type\":\"text\",\"id\":\"01010101-0101-0101-0101-010101010101\",\"at\":1700000000000,\"body\":\"hi\"}";
    assert_eq!(std::str::from_utf8(bytes.expose()).unwrap(), expected);
}

#[test]
fn an_unknown_type_or_version_is_kept_as_it_came() {
    let poll = message("\"type\":\"poll\",\"question\":\"tea?\"");
    let read = Content::parse(&poll, ENTRY).unwrap();
    assert!(matches!(&read.body, Body::Unknown { r#type, json } if r#type == "poll" && *json == poll));
    assert_eq!(read.encode().unwrap().expose(), poll);

    let later = String::from_utf8(message("\"type\":\"text\""))
        .unwrap()
        .replace("\"v\":1", "\"v\":2");
    assert!(matches!(
        Content::parse(later.as_bytes(), ENTRY).unwrap().body,
        Body::Unknown { .. }
    ));
}

#[test]
fn unknown_keys_of_a_known_type_are_ignored() {
    let bytes = message("\"type\":\"text\",\"body\":\"hi\",\"colour\":\"red\"");
    assert!(matches!(Content::parse(&bytes, ENTRY).unwrap().body, Body::Text(text) if text.body == "hi"));
}

#[test]
fn a_message_that_names_another_entry_is_refused() {
    let bytes = message("\"type\":\"text\",\"body\":\"hi\"");
    assert_eq!(Content::parse(&bytes, OTHER), Err(ContentError::Entry));
}

#[test]
fn malformed_messages_are_refused_without_quoting_them() {
    assert_eq!(Content::parse(b"hello", ENTRY), Err(ContentError::Form));
    assert_eq!(Content::parse(b"{\"v\":1}", ENTRY), Err(ContentError::Form));
    for (r#type, rest) in [
        ("text", "\"type\":\"text\",\"body\":7"),
        ("delete", "\"type\":\"delete\""),
        ("file", "\"type\":\"file\",\"key\":\"short\""),
    ] {
        assert_eq!(Content::parse(&message(rest), ENTRY), Err(ContentError::Keys(r#type)));
    }
}

#[test]
fn a_thumbnail_beyond_its_limit_is_refused_both_ways() {
    let mut file = picture();
    let fits = content(Body::File(file.clone())).encode().unwrap();
    let longer = String::from_utf8(fits.expose().to_vec())
        .unwrap()
        .replace("\"thumbnail\":\"", "\"thumbnail\":\"BgYG");
    assert_eq!(Content::parse(longer.as_bytes(), ENTRY), Err(ContentError::Keys("file")));
    file.thumbnail = Some(vec![6; THUMBNAIL_BYTES_MAX + 1]);
    assert_eq!(content(Body::File(file)).encode().unwrap_err(), ContentError::Keys("file"));
}

#[test]
fn debug_shows_nothing_that_was_said() {
    let debug = format!(
        "{:?}",
        content(Body::Text(Text {
            body: "secret".into(),
            reply_to: None,
            mentions: vec![]
        }))
    );
    assert!(!debug.contains("secret"), "{debug}");
}

#[test]
fn a_reaction_is_one_character_or_none_on_both_sides() {
    let react = |emoji: &str| message(&format!("\"type\":\"react\",\"target\":\"{OTHER}\",\"emoji\":\"{emoji}\""));
    assert!(Content::parse(&react("👍"), ENTRY).is_ok());
    assert!(Content::parse(&react(""), ENTRY).is_ok(), "taken back");
    assert_eq!(Content::parse(&react("👍👍"), ENTRY), Err(ContentError::Keys("react")));
    let sent = content(Body::React(React {
        target: OTHER,
        emoji: "no".to_owned(),
    }));
    assert_eq!(sent.encode().unwrap_err(), ContentError::Keys("react"));
}

#[test]
fn a_text_names_a_thousand_accounts_and_no_more() {
    let text = |names: usize| {
        content(Body::Text(Text {
            body: "hi".to_owned(),
            reply_to: None,
            mentions: vec![AccountId([7; 16]); names],
        }))
    };
    let parsed = |names| Content::parse(text(names).encode().unwrap().expose(), ENTRY);
    assert_eq!(parsed(MENTIONS_MAX), Ok(text(MENTIONS_MAX)));
    assert_eq!(parsed(MENTIONS_MAX + 1), Err(ContentError::Keys("text")));
}
