//! What programs read: a record as one JSON object, and a restore's receipt.
//!
//! `type` is `text`, `file`, `edit`, `delete`, `react`, `renamed` (a group's
//! new name is its `title`), `group` (its other settings), `notice`, `unknown`
//! (a later version's, named by `content_type`); or what this device saw
//! happen: `added`, `removed`, `left`, `promoted`, `demoted`, `device-added`,
//! `device-removed`, `joined`, `out`, `lost`, `unreadable`.

use super::shown::{FileIs, Shown};
use fastchat_client::{
    receipt::Receipt,
    record::{Mark, Person, PersonsDevice, Reaction, What},
};
use fastchat_e2e::{
    ConversationId, DeviceId, EntryId,
    content::{Body, File},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{borrow::Cow, fmt::Write};

/// One record. Keys that say nothing are left out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<ConversationId>,
    name: &'a str,
    seq: u64,
    at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<FileLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<FileLine<'a>>,
    /// When it disappears.
    #[serde(skip_serializing_if = "Option::is_none")]
    vanishes_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<EntryId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<&'a str>,
    /// The number of the message that is answered, corrected, taken back or reacted to.
    #[serde(skip_serializing_if = "Option::is_none")]
    about_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<EntryId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    mentions_me: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    edited: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<ReactionLine<'a>>,
    /// Of an own message, by the fleet's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_to: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_by: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<Vec<DeviceLine<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<EntryId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    own: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    alarms: &'a [String],
}

/// A file. Its key is not in it.
#[derive(Debug, Serialize)]
struct FileLine<'a> {
    name: &'a str,
    mime: &'a str,
    size: u64,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failed<'a>>,
}

/// A reaction to a message.
#[derive(Debug, Serialize)]
struct ReactionLine<'a> {
    emoji: &'a str,
    from: Vec<String>,
}

/// One of somebody's devices.
#[derive(Debug, Serialize)]
struct DeviceLine<'a> {
    account: String,
    device: DeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// Why a file was not fetched.
#[derive(Debug, Serialize)]
struct Failed<'a> {
    code: &'a str,
    message: &'a str,
}

/// Turns a record into what a program reads.
pub(crate) fn record<'a>(shown: &Shown<'a>) -> Line<'a> {
    let record = shown.record;
    let mut line = Line {
        conversation: Some(record.conversation),
        name: shown.title,
        seq: record.seq,
        at: record.at_ms,
        from: record.from.as_ref().map(person),
        entry: record.entry,
        device: record.device,
        own: record.own,
        about_seq: record.about.as_ref().and_then(|about| about.seq),
        mentions: people(&record.mentions),
        vanishes_at: record.vanishes_at_ms,
        mentions_me: record.mentions_me,
        edited: record.edited,
        deleted: record.taken_back,
        reactions: reactions(&record.reactions),
        alarms: &record.alarms,
        ..Line::default()
    };
    match &record.what {
        What::Message(content) => line.say(&content.body, shown.file),
        What::Unreadable { cause } => line.happen("unreadable").cause = Some(cause),
        What::Added(who) => line.happen("added").accounts = Some(people(who)),
        What::Removed(who) => line.happen("removed").accounts = Some(people(who)),
        What::Left(who) => line.happen("left").accounts = Some(people(who)),
        What::Promoted(who) => line.happen("promoted").accounts = Some(people(who)),
        What::Demoted(who) => line.happen("demoted").accounts = Some(people(who)),
        What::DevicesAdded(which) => line.happen("device-added").devices = Some(devices(which)),
        What::DevicesRemoved(which) => line.happen("device-removed").devices = Some(devices(which)),
        What::Alarm => line.r#type = "alarm",
        What::Joined => line.r#type = "joined",
        What::Out => line.r#type = "out",
        What::Lost { first, last } => {
            line.r#type = "lost";
            (line.first, line.last) = (Some(*first), Some(*last));
        }
    }
    line
}

/// What came of a restore.
pub(crate) fn receipt(receipt: &Receipt) -> Value {
    json!({
        "restored": receipt.restored, "messages": receipt.messages, "complete": receipt.is_complete(),
        "batches": receipt.batches, "heads_compared": receipt.heads_compared, "heads_differ": receipt.heads_differ,
        "missing": receipt.missing, "refused": receipt.refused, "unlisted": receipt.unlisted,
    })
}

/// Somebody's username; where it is not known, the account's id: no username is as long.
pub(crate) fn person(person: &Person) -> String {
    match &person.username {
        Some(name) => name.to_string(),
        None => person.account.to_string(),
    }
}

fn people(who: &[Person]) -> Vec<String> {
    who.iter().map(person).collect()
}

fn reactions(found: &[Reaction]) -> Vec<ReactionLine<'_>> {
    found
        .iter()
        .map(|Reaction { emoji, from }| ReactionLine { emoji, from: people(from) })
        .collect()
}

fn devices<'a>(which: &'a [PersonsDevice]) -> Vec<DeviceLine<'a>> {
    let line = |one: &'a PersonsDevice| DeviceLine {
        account: person(&one.person),
        device: one.device,
        name: one.name.as_deref(),
    };
    which.iter().map(line).collect()
}

impl<'a> Line<'a> {
    /// With who has it, where it is an own message.
    pub(crate) fn marked(mut self, marks: Option<&[(Person, Mark)]>) -> Self {
        if let (true, Some(marks)) = (self.own && !self.deleted, marks) {
            let seq = self.seq;
            let who = |has: fn(&Mark) -> u64| {
                let having = marks.iter().filter(|(_, mark)| has(mark) >= seq);
                having.map(|(who, _)| person(who)).collect()
            };
            self.delivered_to = Some(who(|mark| mark.delivered));
            self.read_by = Some(who(|mark| mark.read));
        }
        self
    }

    fn happen(&mut self, r#type: &'a str) -> &mut Self {
        self.r#type = r#type;
        self
    }

    fn say(&mut self, body: &'a Body, file: FileIs<'a>) {
        self.r#type = body.type_name();
        match body {
            Body::Text(text) => {
                self.text = Some(text.body.as_str()).filter(|_| !self.deleted);
                self.reply_to = text.reply_to;
            }
            Body::Edit(edit) => {
                self.target = Some(edit.target);
                self.text = Some(&edit.body);
            }
            Body::Delete(delete) => self.target = Some(delete.target),
            Body::React(react) => {
                self.target = Some(react.target);
                self.emoji = Some(&react.emoji);
            }
            Body::File(sent) => self.file = Some(FileLine::new(sent, file)),
            Body::Group(group) => {
                if let Some(name) = &group.name {
                    self.r#type = "renamed";
                    self.title = Some(name);
                }
                self.picture = group.picture.as_ref().map(|picture| FileLine::new(picture, FileIs::Away));
                self.retention_s = group.retention_s;
                self.archive = group.archive;
            }
            Body::Notice(notice) => {
                self.notice = Some(&notice.notice);
                self.accounts = (!notice.accounts.is_empty()).then(|| notice.accounts.iter().map(ToString::to_string).collect());
            }
            // A type that others made up must not pass for one of ours.
            Body::Unknown { r#type, .. } => {
                self.r#type = "unknown";
                self.content_type = Some(r#type);
            }
        }
    }
}

impl<'a> FileLine<'a> {
    fn new(file: &'a File, is: FileIs<'a>) -> Self {
        let (path, error) = match is {
            FileIs::Away => (None, None),
            FileIs::Saved(path) => (Some(path.to_string_lossy()), None),
            FileIs::Failed { code, message } => (None, Some(Failed { code, message })),
        };
        Self {
            name: &file.name,
            mime: &file.mime,
            size: file.size,
            sha256: hex(&file.sha256),
            width: file.width,
            height: file.height,
            path,
            error,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::super::shown::samples;
    use super::*;
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
}
