//! A record with what is known about it when it is shown; and which records are shown.

use fastchat_client::record::{Record, What};
use fastchat_e2e::content::Body;
use std::path::Path;

/// A record about to be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    /// What happened.
    pub(crate) record: &'a Record,
    /// What people call the conversation: `@bob`, `#team`.
    pub(crate) title: &'a str,
    /// Of a `file` message: where its file is.
    pub(crate) file: FileIs<'a>,
}

/// Where the file of a `file` message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileIs<'a> {
    /// On the server.
    Away,
    /// Here.
    Saved(&'a Path),
    /// It was to be fetched, and that failed.
    Failed {
        /// The problem's code.
        code: &'a str,
        /// The problem.
        message: &'a str,
    },
}

impl<'a> Shown<'a> {
    /// As the profile has it.
    pub(crate) fn kept(record: &'a Record, title: &'a str) -> Self {
        let file = record.saved.as_deref().map_or(FileIs::Away, FileIs::Saved);
        Self { record, title, file }
    }

    /// True in a chat of two.
    pub(crate) fn is_direct(&self) -> bool {
        self.title.starts_with('@')
    }
}

/// True for what `listen` shows and counts without `--all`: what others said, and what they did about that.
pub(crate) fn is_said_by_others(record: &Record) -> bool {
    !record.own && (is_said(record) || is_afterthought(record))
}

/// True for what `history` shows without `--all`: what was said, where something is missing, and what is warned of.
pub(crate) fn is_told(record: &Record) -> bool {
    is_said(record) || is_missing(record) || !record.alarms.is_empty()
}

/// True where something was said that can't be shown.
pub(crate) fn is_missing(record: &Record) -> bool {
    matches!(record.what, What::Unreadable { .. } | What::Lost { .. })
}

/// True for a `file` message.
pub(crate) fn is_file(record: &Record) -> bool {
    matches!(&record.what, What::Message(content) if matches!(content.body, Body::File(_)))
}

/// True for a correction, unless a newer one has replaced it, for what takes a message back, and for a reaction.
fn is_afterthought(record: &Record) -> bool {
    let What::Message(content) = &record.what else {
        return false;
    };
    match &content.body {
        Body::Edit(edit) => !edit.body.is_empty(),
        Body::Delete(_) | Body::React(_) => true,
        _ => false,
    }
}

fn is_said(record: &Record) -> bool {
    matches!(&record.what, What::Message(content) if matches!(content.body, Body::Text(_) | Body::File(_)))
}

#[cfg(test)]
pub(crate) mod samples {
    //! Records to show.

    use fastchat_client::record::{About, Person, PersonsDevice, Record, What};
    use fastchat_e2e::{
        AccountId, BlobId, Content, ConversationId, DeviceId, EntryId,
        content::{Body, Edit, File, Text},
        secret::FileKey,
    };

    /// 2025-07-14T10:03:00Z, a Monday.
    pub(crate) const AT_MS: u64 = 1_752_487_380_000;
    const ENTRY: EntryId = EntryId([3; 16]);

    pub(crate) fn person(name: &str) -> Person {
        Person {
            account: AccountId([2; 16]),
            username: Some(name.parse().unwrap()),
        }
    }

    pub(crate) fn stranger() -> Person {
        Person {
            account: AccountId([0xab; 16]),
            username: None,
        }
    }

    pub(crate) fn device(of: &str, name: Option<&str>) -> PersonsDevice {
        PersonsDevice {
            person: person(of),
            device: DeviceId([4; 16]),
            name: name.map(str::to_owned),
        }
    }

    pub(crate) fn record(what: What) -> Record {
        Record {
            arrival: 1,
            conversation: ConversationId([1; 16]),
            seq: 17,
            at_ms: AT_MS,
            entry: Some(ENTRY),
            from: Some(person("bob")),
            device: Some(DeviceId([4; 16])),
            own: false,
            what,
            edited: false,
            taken_back: false,
            reactions: vec![],
            about: None,
            mentions: vec![],
            mentions_me: false,
            vanishes_at_ms: None,
            alarms: vec![],
            saved: None,
        }
    }

    pub(crate) fn message(body: Body) -> Record {
        record(What::Message(Content {
            id: ENTRY,
            at_ms: AT_MS,
            body,
        }))
    }

    pub(crate) fn text(text: &str) -> Record {
        message(Body::Text(Text {
            body: text.to_owned(),
            reply_to: None,
            mentions: vec![],
        }))
    }

    /// A correction of number 15, "the first words".
    pub(crate) fn edit(text: &str) -> Record {
        let target = EntryId([9; 16]);
        let body = text.to_owned();
        Record {
            about: Some(about()),
            ..message(Body::Edit(Edit { target, body }))
        }
    }

    /// What carol said, number 15.
    pub(crate) fn about() -> About {
        About {
            entry: EntryId([9; 16]),
            seq: Some(15),
            from: Some(person("carol")),
            excerpt: Some("the first words".to_owned()),
        }
    }

    pub(crate) fn file() -> File {
        File {
            blob: BlobId([5; 16]),
            key: FileKey::new([6; 32]),
            sha256: [7; 32],
            size: 1_234_567,
            name: "cat.png".to_owned(),
            mime: "image/png".to_owned(),
            width: Some(640),
            height: Some(480),
            thumbnail: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_shows_texts_and_files_of_others() {
        let mut text = samples::text("hi");
        let file = samples::message(Body::File(samples::file()));
        assert!(is_said_by_others(&text) && is_said_by_others(&file));
        text.own = true;
        assert!(!is_said_by_others(&text) && is_told(&text));
        for what in [What::Joined, What::Out, What::Added(vec![])] {
            let record = samples::record(what);
            assert!(!is_said_by_others(&record) && !is_told(&record));
        }
    }

    #[test]
    fn listening_shows_corrections_unless_a_newer_one_came_and_history_shows_what_they_made_of_it() {
        assert!(is_said_by_others(&samples::edit("new")) && !is_told(&samples::edit("new")));
        assert!(!is_said_by_others(&samples::edit("")));
    }

    #[test]
    fn history_shows_where_something_is_missing() {
        assert!(is_told(&samples::record(What::Lost { first: 1, last: 2 })));
        assert!(is_told(&samples::record(What::Unreadable { cause: String::new() })));
    }
}
