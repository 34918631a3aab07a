//! What happened, in the order in which this device took it; and by conversation and number.
//!
//! A row is u32 length ‖ header as JSON ‖ the message's content as it was sealed, if it is one.
//!
//! What came back from the archive did not arrive here: its rows have numbers of their own, beyond all arrivals. It is
//! found by conversation and number like everything else, and is never news.

mod amended;
mod archived;
mod read;
mod vanish;

use read::People;

pub(crate) use archived::{Came, restore, restored_before, restored_next, unarchived};

pub(crate) use vanish::{deadline, next as next_due, sweep, vanishes};

use super::rows;
use crate::{problem::Problem, record::Record};
use fastchat_e2e::{
    AccountId, Content, ConversationId, DeviceId, EntryId,
    store::{Reader, Scan, Table, Writer},
};
use fastchat_wire::encoding::Bytes64;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// First byte of the keys of what arrived here.
const ARRIVED: &[u8] = &[0];

/// u64 arrival → row.
const RECORDS: Table = Table::new("record");
/// conversation ‖ u64 number ‖ u64 arrival → nothing.
const BY_NUMBER: Table = Table::new("record-number");
/// u64 arrival → where its file was saved.
const SAVED: Table = Table::new("record-saved");
/// → the last arrival, also of what has disappeared since.
const LAST: Table = Table::new("record-last");
/// → the last arrival that a person was shown.
const SHOWN: Table = Table::new("shown");

/// A record to be kept.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) conversation: ConversationId,
    pub(crate) seq: u64,
    pub(crate) at_ms: u64,
    pub(crate) entry: Option<EntryId>,
    pub(crate) from: Option<(AccountId, DeviceId)>,
    pub(crate) own: bool,
    pub(crate) what: Noted,
    pub(crate) alarms: Vec<String>,
    /// A message that the account's archive is to have.
    pub(crate) archive: bool,
    /// When it is to disappear: ms since 1970.
    pub(crate) vanish_at: Option<u64>,
}

/// What happened.
#[expect(clippy::large_enum_variant, reason = "nearly all records are messages")]
#[derive(Debug)]
pub(crate) enum Noted {
    Message(Content),
    Event(Event),
}

/// What happened, other than a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    Unreadable(String),
    Added(Vec<AccountId>),
    Removed(Vec<AccountId>),
    Left(Vec<AccountId>),
    Promoted(Vec<AccountId>),
    Demoted(Vec<AccountId>),
    DevicesAdded(Vec<(AccountId, DeviceId)>),
    DevicesRemoved(Vec<(AccountId, DeviceId)>),
    Alarm,
    Joined,
    Out,
    Lost(u64, u64),
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    conversation: ConversationId,
    seq: u64,
    at: u64,
    entry: Option<EntryId>,
    from: Option<(AccountId, DeviceId)>,
    own: bool,
    /// None: a message, whose content follows.
    event: Option<Event>,
    alarms: Vec<String>,
    /// A message that is not to be archived.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unarchived: bool,
    /// The log's head there, as the archive has it: of a message that came from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<Bytes64>,
    /// When it is to disappear: ms since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vanish_at: Option<u64>,
}

/// Keeps a record, as the last one that arrived.
pub(crate) fn add(tx: &Writer<'_>, note: &Note) -> Result<(), Problem> {
    if !archived::gives_way(tx, note)? {
        return Ok(());
    }
    let arrival = last(tx)? + 1;
    let (event, content) = match &note.what {
        Noted::Message(content) => (None, Some(content)),
        Noted::Event(event) => (Some(event.clone()), None),
    };
    let header = Header {
        conversation: note.conversation,
        seq: note.seq,
        at: note.at_ms,
        entry: note.entry,
        from: note.from,
        own: note.own,
        event,
        alarms: note.alarms.clone(),
        unarchived: !note.archive,
        head: None,
        vanish_at: note.vanish_at,
    };
    match content {
        Some(content) => {
            let bytes = content.encode().map_err(fastchat_e2e::groups::Error::from)?;
            put(tx, arrival, &header, bytes.expose())?;
            amended::noted(tx, arrival, &header, content)
        }
        None => put(tx, arrival, &header, &[]),
    }
}

fn put(tx: &Writer<'_>, arrival: u64, header: &Header, content: &[u8]) -> Result<(), Problem> {
    write(tx, arrival, header, content)?;
    vanish::noted(tx, arrival, header)?;
    Ok(tx.put(BY_NUMBER, &by_number(header.conversation, header.seq, arrival), &[])?)
}

fn write(tx: &Writer<'_>, arrival: u64, header: &Header, content: &[u8]) -> Result<(), Problem> {
    let json = serde_json::to_vec(header).map_err(|_| rows::damaged(RECORDS))?;
    let length = u32::try_from(json.len()).map_err(|_| rows::damaged(RECORDS))?;
    let row = Zeroizing::new([&length.to_be_bytes()[..], &json, content].concat());
    Ok(tx.put(RECORDS, &arrival.to_be_bytes(), &row)?)
}

/// A row's header, and the message's content behind it.
fn split(row: &[u8]) -> Result<(Header, &[u8]), Problem> {
    let damaged = || rows::damaged(RECORDS);
    let (length, rest) = row.split_first_chunk().ok_or_else(damaged)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| damaged())?;
    let (header, content) = rest.split_at_checked(length).ok_or_else(damaged)?;
    Ok((rows::parse(RECORDS, header)?, content))
}

/// Deletes a record. Its place is never another one's.
fn remove(tx: &Writer<'_>, arrival: u64, header: &Header) -> Result<(), Problem> {
    if !archived::is_restored(arrival) {
        let last = last(tx)?;
        rows::put(tx, LAST, rows::ONLY, &last)?;
    }
    amended::forget(tx, arrival, header)?;
    vanish::forget(tx, arrival, header)?;
    tx.delete(RECORDS, &arrival.to_be_bytes())?;
    tx.delete(BY_NUMBER, &by_number(header.conversation, header.seq, arrival))?;
    Ok(())
}

/// The last arrival; 0 where there is none.
pub(crate) fn last(tx: &Reader<'_>) -> Result<u64, Problem> {
    let newest = match tx.list(RECORDS, Scan::newest(ARRIVED, 1))?.pop() {
        Some((key, _)) => rows::number(RECORDS, &key)?,
        None => 0,
    };
    Ok(newest.max(rows::get(tx, LAST, rows::ONLY)?.unwrap_or(0)))
}

/// Records that arrived after this one, in the order of arrival.
pub(crate) fn arrived_after(tx: &Reader<'_>, me: Option<AccountId>, arrival: u64, limit: u32) -> Result<Vec<Record>, Problem> {
    let after = arrival.to_be_bytes();
    let scan = Scan {
        after: Some(&after),
        limit,
        ..Scan::prefix(ARRIVED)
    };
    let mut people = People::new(tx, me);
    let found = tx.list(RECORDS, scan)?;
    found
        .into_iter()
        .map(|(key, row)| people.read(rows::number(RECORDS, &key)?, row.expose()))
        .collect()
}

/// The newest records of a conversation, by their numbers, oldest first.
pub(crate) fn newest(tx: &Reader<'_>, me: Option<AccountId>, conversation: ConversationId, limit: u32) -> Result<Vec<Record>, Problem> {
    let mut index = tx.list(BY_NUMBER, Scan::newest(conversation.as_bytes(), limit))?;
    index.reverse();
    let mut people = People::new(tx, me);
    index.into_iter().map(|(key, _)| people.find(&key)).collect()
}

/// The records of one number of a conversation.
pub(crate) fn at(tx: &Reader<'_>, me: Option<AccountId>, conversation: ConversationId, seq: u64) -> Result<Vec<Record>, Problem> {
    let prefix = [&conversation.as_bytes()[..], &seq.to_be_bytes()].concat();
    let index = tx.list(BY_NUMBER, Scan::prefix(&prefix))?;
    let mut people = People::new(tx, me);
    index.into_iter().map(|(key, _)| people.find(&key)).collect()
}

/// What was said under this id; where several claim it, of this account, else the first.
pub(crate) fn said(
    tx: &Reader<'_>,
    me: Option<AccountId>,
    conversation: ConversationId,
    entry: EntryId,
    of: Option<AccountId>,
) -> Result<Option<Record>, Problem> {
    let Some(found) = amended::find(tx, conversation, entry, of)? else {
        return Ok(None);
    };
    People::new(tx, me).at(found.arrival).map(Some)
}

/// Ids of what was said in a conversation.
pub(crate) fn ids(tx: &Reader<'_>, conversation: ConversationId) -> Result<Vec<EntryId>, Problem> {
    amended::ids(tx, conversation)
}

/// Where a record's file was saved.
pub(crate) fn saved(tx: &Reader<'_>, arrival: u64) -> Result<Option<PathBuf>, Problem> {
    rows::get(tx, SAVED, &arrival.to_be_bytes())
}

/// Keeps where a record's file was saved.
pub(crate) fn save_saved(tx: &Writer<'_>, arrival: u64, path: &std::path::Path) -> Result<(), Problem> {
    rows::put(tx, SAVED, &arrival.to_be_bytes(), &path)
}

/// The last arrival that a person was shown.
pub(crate) fn shown(tx: &Reader<'_>) -> Result<u64, Problem> {
    Ok(rows::get(tx, SHOWN, rows::ONLY)?.unwrap_or(0))
}

/// Moves that mark; never back.
pub(crate) fn save_shown(tx: &Writer<'_>, arrival: u64) -> Result<(), Problem> {
    if arrival > shown(tx)? && !archived::is_restored(arrival) {
        rows::put(tx, SHOWN, rows::ONLY, &arrival)?;
    }
    Ok(())
}

fn by_number(conversation: ConversationId, seq: u64, arrival: u64) -> Vec<u8> {
    [&conversation.as_bytes()[..], &seq.to_be_bytes(), &arrival.to_be_bytes()].concat()
}
