//! Before a message is sealed: what it is about is here and may be changed so, whom its text names, which message a
//! person means.
//!
//! Every receiver holds others to the same rules. Here they are told to who would break them.

use super::{Profile, history};
use crate::{
    problem::Problem,
    record::{self, Named, RETENTION_S_MAX, Record, What, mentions},
};
use fastchat_e2e::{
    AccountId, ConversationId, EntryId,
    content::{Body, Group, MENTIONS_MAX, is_emoji},
    groups::Groups,
    mls::{Charter, Kind},
    store::Reader,
};
use std::collections::BTreeMap;

/// Records that are read first; twice as many while they do not suffice.
const FIRST_READ: u32 = 64;

/// Checks a message, and adds whom its text names.
pub(crate) fn compose(groups: &mut Groups, tx: &Reader<'_>, conversation: ConversationId, mut body: Body) -> Result<Body, Problem> {
    let me = groups.me().account;
    match &mut body {
        Body::Text(text) => {
            if let Some(answered) = text.reply_to {
                is_here(tx, me, conversation, answered)?;
            }
            if text.mentions.is_empty() && text.body.contains('@') {
                text.mentions = named(groups, tx, conversation, &text.body)?;
            }
        }
        Body::Edit(edit) => {
            let target = is_own(tx, me, conversation, edit.target)?;
            if !matches!(&target.what, What::Message(content) if matches!(content.body, Body::Text(_))) {
                return Err(Problem::Usage(
                    "only a text can be corrected: take it back with `fastchat delete`".to_owned(),
                ));
            }
            if edit.body.is_empty() {
                return Err(Problem::Usage(
                    "the new text is empty: take the message back with `fastchat delete`".to_owned(),
                ));
            }
        }
        Body::Delete(delete) => _ = is_own(tx, me, conversation, delete.target)?,
        Body::React(react) => {
            if !(react.emoji.is_empty() || is_emoji(&react.emoji)) {
                return Err(Problem::Usage(format!(
                    "\"{}\" is no reaction: write one emoji, of at most 64 bytes",
                    react.emoji.escape_debug()
                )));
            }
            is_here(tx, me, conversation, react.target)?;
        }
        Body::Group(settings) => may_set(&groups.view(tx, conversation)?.charter, me, settings)?,
        Body::File(_) | Body::Notice(_) | Body::Unknown { .. } => {}
    }
    Ok(body)
}

/// Whether this account may set a conversation so.
fn may_set(charter: &Charter, me: AccountId, settings: &Group) -> Result<(), Problem> {
    if charter.kind == Kind::Direct && (settings.name.is_some() || settings.picture.is_some() || settings.archive.is_some()) {
        return Err(Problem::Usage(
            "a direct chat has no name, no picture, and both archive it: only how long messages stay can be set".to_owned(),
        ));
    }
    if charter.kind == Kind::Group && !charter.is_admin(me) {
        return Err(Problem::declined(
            "forbidden",
            "only admins change a group's settings: ask one of them",
        ));
    }
    if let Some(name) = &settings.name {
        record::group_name(name)?;
    }
    if settings.retention_s.is_some_and(|seconds| seconds > RETENTION_S_MAX) {
        return Err(Problem::Usage("messages stay for 366 days at most, or for good".to_owned()));
    }
    if settings.picture.as_ref().is_some_and(|picture| !record::is_picture(picture)) {
        return Err(Problem::Usage("a group's picture is an image of at most 4 MiB".to_owned()));
    }
    Ok(())
}

/// The members that a text names.
fn named(groups: &mut Groups, tx: &Reader<'_>, conversation: ConversationId, text: &str) -> Result<Vec<AccountId>, Problem> {
    let view = groups.view(tx, conversation)?;
    let members: BTreeMap<_, _> = view
        .members
        .iter()
        .map(|member| (&member.subject().username, member.subject().account))
        .collect();
    let mut named = Vec::new();
    for name in mentions(text) {
        let account = members.get(&name).filter(|account| !named.contains(*account));
        named.extend(account.copied());
    }
    named.truncate(MENTIONS_MAX);
    Ok(named)
}

fn is_here(tx: &Reader<'_>, me: AccountId, conversation: ConversationId, entry: EntryId) -> Result<Record, Problem> {
    let found = history::said(tx, Some(me), conversation, entry, None)?;
    let found = found.ok_or_else(|| Problem::declined("not-found", "this device does not have the message that this is about"))?;
    if found.taken_back {
        return Err(Problem::declined(
            "not-found",
            "that message was taken back: there is nothing to answer or to change",
        ));
    }
    Ok(found)
}

fn is_own(tx: &Reader<'_>, me: AccountId, conversation: ConversationId, entry: EntryId) -> Result<Record, Problem> {
    let found = history::said(tx, Some(me), conversation, entry, Some(me))?;
    if found.is_some_and(|found| found.from.is_none_or(|from| from.account != me)) {
        return Err(Problem::declined(
            "forbidden",
            "that message is somebody else's: only who wrote it can correct it or take it back",
        ));
    }
    is_here(tx, me, conversation, entry)
}

impl Profile {
    /// The message that a person means; the last one is one's own, or somebody else's.
    ///
    /// # Errors
    /// `not-found`; `ambiguous` where several ids end so; [`Problem::Store`].
    pub fn message(&self, conversation: ConversationId, named: &Named, own: bool) -> Result<Record, Problem> {
        let found = self.read(|tx| {
            let me = self.account(tx)?;
            match named {
                Named::Last => last(tx, me, conversation, own),
                Named::Number(seq) => Ok(history::at(tx, me, conversation, *seq)?.into_iter().find(is_said)),
                Named::Id(end) => by_id(tx, me, conversation, end),
            }
        });
        found?.ok_or_else(|| {
            let what = match named {
                Named::Last if own => "you have said nothing here that this device has".to_owned(),
                Named::Last => "nobody else has said anything here that this device has".to_owned(),
                Named::Number(seq) => format!("this device has no message {seq} here: `fastchat history --numbers` shows which there are"),
                Named::Id(end) => {
                    format!("this device has no message here whose id ends in \"{end}\": `fastchat history --json` has the ids")
                }
            };
            Problem::declined("not-found", what)
        })
    }
}

fn is_said(record: &Record) -> bool {
    matches!(&record.what, What::Message(content) if content.body.is_said())
}

fn last(tx: &Reader<'_>, me: Option<AccountId>, conversation: ConversationId, own: bool) -> Result<Option<Record>, Problem> {
    let mut read = FIRST_READ;
    loop {
        let records = history::newest(tx, me, conversation, read)?;
        let is_all = records.len() < usize::try_from(read).unwrap_or(usize::MAX);
        let passes = |record: &Record| is_said(record) && record.own == own && !record.taken_back;
        let found = records.into_iter().rev().find(passes);
        if found.is_some() || is_all {
            return Ok(found);
        }
        read = read.saturating_mul(2);
    }
}

fn by_id(tx: &Reader<'_>, me: Option<AccountId>, conversation: ConversationId, end: &str) -> Result<Option<Record>, Problem> {
    let mut found: Vec<EntryId> = history::ids(tx, conversation)?;
    found.retain(|entry| entry.to_string().ends_with(end));
    found.dedup();
    match found[..] {
        [] => Ok(None),
        [entry] => history::said(tx, me, conversation, entry, None),
        _ => Err(Problem::declined(
            "ambiguous",
            format!("several messages have an id that ends in \"{end}\": write more of it"),
        )),
    }
}
