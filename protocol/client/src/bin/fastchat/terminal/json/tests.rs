//! A record as a program reads it.

use super::*;
use crate::terminal::shown::samples;
use fastchat_client::record::Record;
use fastchat_e2e::content::{Edit, Group, Notice, React, Target, Text};
use serde_json::{Value, json};
use std::path::Path;

const TARGET: EntryId = EntryId([9; 16]);

fn shown(record: &Record, file: FileIs<'_>) -> Value {
    let title = "#team";
    serde_json::to_value(super::record(&Shown { record, title, file })).unwrap()
}

fn said(body: Body) -> Value {
    shown(&samples::message(body), FileIs::Away)
}

#[test]
fn a_text_is_written_in_the_order_of_the_contract() {
    let record = samples::text("hello");
    let line = serde_json::to_string(&super::record(&Shown::kept(&record, "@bob"))).unwrap();
    assert_eq!(
        line,
        "{\"conversation\":\"01010101-0101-0101-0101-010101010101\",\"name\":\"@bob\",\"seq\":17,\"at\":1752487380000,\
         \"from\":\"bob\",\"type\":\"text\",\"text\":\"hello\",\"entry\":\"03030303-0303-0303-0303-030303030303\",\
         \"device\":\"04040404-0404-0404-0404-040404040404\"}"
    );
}

#[test]
fn a_file_has_its_path_and_never_its_key() {
    let record = samples::message(Body::File(samples::file()));
    let line = shown(&record, FileIs::Saved(Path::new("/p/downloads/cat.png")));
    assert_eq!(
        line["file"],
        json!({"name": "cat.png", "mime": "image/png", "size": 1_234_567, "sha256": "07".repeat(32),
               "width": 640, "height": 480, "path": "/p/downloads/cat.png"})
    );
}

#[test]
fn a_file_that_was_not_fetched_says_why() {
    let record = samples::message(Body::File(samples::file()));
    let failed = FileIs::Failed {
        code: "not-found",
        message: "gone",
    };
    let line = shown(&record, failed);
    assert_eq!(line["file"]["error"], json!({"code": "not-found", "message": "gone"}));
    assert_eq!(line["file"].get("path"), None);
}

#[test]
fn what_was_said_has_its_keys() {
    let mut answer = samples::message(Body::Text(Text {
        body: "yes".into(),
        reply_to: Some(TARGET),
        mentions: vec![],
    }));
    answer.about = Some(samples::about());
    answer.mentions = vec![samples::person("alice"), samples::stranger()];
    (answer.mentions_me, answer.edited) = (true, true);
    answer.reactions = vec![Reaction {
        emoji: "👍".into(),
        from: vec![samples::person("carol")],
    }];
    let text = shown(&answer, FileIs::Away);
    assert_eq!((&text["reply_to"], &text["about_seq"]), (&json!(TARGET), &json!(15)));
    assert_eq!(text["mentions"], json!(["alice", "abababab-abab-abab-abab-abababababab"]));
    assert_eq!((&text["mentions_me"], &text["edited"]), (&json!(true), &json!(true)));
    assert_eq!(text["reactions"], json!([{"emoji": "👍", "from": ["carol"]}]));
    answer.taken_back = true;
    let gone = shown(&answer, FileIs::Away);
    assert_eq!((&gone["deleted"], gone.get("text")), (&json!(true), None));
    let edit = said(Body::Edit(Edit {
        target: TARGET,
        body: "new".into(),
    }));
    assert_eq!(
        (&edit["type"], &edit["target"], &edit["text"]),
        (&json!("edit"), &json!(TARGET), &json!("new"))
    );
    let delete = said(Body::Delete(Target { target: TARGET }));
    assert_eq!((&delete["type"], &delete["target"]), (&json!("delete"), &json!(TARGET)));
    let react = said(Body::React(React {
        target: TARGET,
        emoji: "👍".into(),
    }));
    assert_eq!((&react["type"], &react["emoji"]), (&json!("react"), &json!("👍")));
    let notice = said(Body::Notice(Notice {
        notice: "added".into(),
        accounts: vec![],
    }));
    assert_eq!((&notice["type"], &notice["notice"]), (&json!("notice"), &json!("added")));
}

#[test]
fn a_groups_new_name_is_its_title() {
    let named = said(Body::Group(Group {
        name: Some("team".into()),
        ..Group::default()
    }));
    assert_eq!(
        (&named["type"], &named["title"], &named["name"]),
        (&json!("renamed"), &json!("team"), &json!("#team"))
    );
    let kept = said(Body::Group(Group {
        retention_s: Some(60),
        ..Group::default()
    }));
    assert_eq!((&kept["type"], &kept["retention_s"]), (&json!("group"), &json!(60)));
}

#[test]
fn a_made_up_type_does_not_pass_for_ours() {
    let line = said(Body::Unknown {
        r#type: "removed".into(),
        json: b"{\"accounts\":[\"alice\"]}".to_vec(),
    });
    assert_eq!((&line["type"], &line["content_type"]), (&json!("unknown"), &json!("removed")));
    assert_eq!(line.get("accounts"), None);
}

#[test]
fn who_came_and_went_is_named() {
    let line = shown(
        &samples::record(What::Added(vec![samples::person("carol"), samples::stranger()])),
        FileIs::Away,
    );
    assert_eq!(line["type"], "added");
    assert_eq!(line["accounts"], json!(["carol", "abababab-abab-abab-abab-abababababab"]));
}

#[test]
fn devices_that_came_and_went_are_named() {
    let line = shown(
        &samples::record(What::DevicesAdded(vec![samples::device("bob", Some("phone"))])),
        FileIs::Away,
    );
    let device = "04040404-0404-0404-0404-040404040404";
    assert_eq!(line["type"], "device-added");
    assert_eq!(line["devices"], json!([{"account": "bob", "device": device, "name": "phone"}]));
    let gone = samples::record(What::DevicesRemoved(vec![samples::device("bob", None)]));
    let line = shown(&gone, FileIs::Away);
    assert_eq!(line["type"], "device-removed");
    assert_eq!(line["devices"], json!([{"account": "bob", "device": device}]));
}

#[test]
fn what_can_not_be_read_says_why() {
    let mut record = samples::record(What::Unreadable { cause: "no key".into() });
    record.alarms = vec!["look".into()];
    record.from = None;
    record.own = true;
    let line = shown(&record, FileIs::Away);
    assert_eq!(
        (&line["type"], &line["cause"], &line["seq"]),
        (&json!("unreadable"), &json!("no key"), &json!(17))
    );
    assert_eq!((&line["alarms"], &line["own"]), (&json!(["look"]), &json!(true)));
    assert_eq!(line.get("from"), None);
    let lost = shown(&samples::record(What::Lost { first: 5, last: 9 }), FileIs::Away);
    assert_eq!((&lost["first"], &lost["last"]), (&json!(5), &json!(9)));
}

#[test]
fn an_own_message_says_who_has_it_and_nobody_elses_does() {
    let mut record = samples::text("hi");
    let mark = |delivered, read| Mark { delivered, read };
    let marks = [(samples::person("bob"), mark(17, 17)), (samples::person("carol"), mark(20, 16))];
    let marked = |record: &Record| serde_json::to_value(super::record(&Shown::kept(record, "#team")).marked(Some(&marks))).unwrap();
    assert_eq!(marked(&record).get("read_by"), None);
    record.own = true;
    let line = marked(&record);
    assert_eq!(
        (&line["delivered_to"], &line["read_by"]),
        (&json!(["bob", "carol"]), &json!(["bob"]))
    );
}
