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
        "missing": receipt.missing, "ignored": receipt.ignored, "moved": receipt.moved, "refused": receipt.refused,
        "unlisted": receipt.unlisted,
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
mod tests;
