//! The history's way into the account's archive, and back out of it.

use super::{ARRIVED, BY_NUMBER, Event, Header, Note, Noted, RECORDS, amended, put, remove, split};
use crate::{problem::Problem, profile::rows};
use fastchat_e2e::{
    AccountId, Content, ConversationId,
    archive::Record,
    secret::SecretBytes,
    store::{Reader, Scan, Writer},
};
use fastchat_wire::encoding::Bytes64;
use serde_json::value::RawValue;

/// First byte of the keys of what came from the archive.
const RESTORED: &[u8] = &[1];
/// The first of those keys.
const RESTORED_FIRST: u64 = 1 << 56;

/// Rows that may have to be archived.
pub(crate) struct Unarchived {
    /// The last arrival among them.
    pub(crate) through: u64,
    rows: Vec<SecretBytes>,
}

/// What became of a message from the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// It is in the history now.
    Added,
    /// It was already.
    Known,
    /// It was already, and there the archive names another head of the log, or another entry.
    Differs,
    /// It is no message of this client's form.
    Malformed,
}

/// True for the place of a record that came from the archive.
pub(super) fn is_restored(arrival: u64) -> bool {
    arrival >= RESTORED_FIRST
}

/// What arrived after this: at most so many rows, and (but for the first) no more than so many bytes.
pub(crate) fn unarchived(tx: &Reader<'_>, after: u64, rows_max: usize, bytes_max: usize) -> Result<Unarchived, Problem> {
    let key = after.to_be_bytes();
    let scan = Scan {
        after: Some(&key),
        limit: u32::try_from(rows_max).unwrap_or(u32::MAX),
        ..Scan::prefix(ARRIVED)
    };
    let mut found = Unarchived {
        through: after,
        rows: Vec::new(),
    };
    let mut bytes = 0;
    for (key, row) in tx.list(RECORDS, scan)? {
        bytes += row.expose().len();
        if bytes > bytes_max && !found.rows.is_empty() {
            break;
        }
        found.through = rows::number(RECORDS, &key)?;
        found.rows.push(row);
    }
    Ok(found)
}

impl Unarchived {
    /// The messages among them that are to be archived, without their heads.
    pub(crate) fn records(&self) -> Result<Vec<Record<'_>>, Problem> {
        let records = self.rows.iter().map(|row| read(row.expose()));
        records.filter_map(Result::transpose).collect()
    }
}

fn read(row: &[u8]) -> Result<Option<Record<'_>>, Problem> {
    let (header, content) = split(row)?;
    if header.event.is_some() || header.unarchived {
        return Ok(None);
    }
    let (Some(entry), Some((from, device))) = (header.entry, header.from) else {
        return Ok(None);
    };
    let content: &RawValue = serde_json::from_slice(content).map_err(|_| rows::damaged(RECORDS))?;
    Ok(Some(Record {
        conversation: header.conversation,
        seq: header.seq,
        entry,
        from,
        device,
        at: header.at,
        content,
        head: None,
    }))
}

/// The place of the next record that comes from the archive.
pub(crate) fn restored_next(tx: &Reader<'_>) -> Result<u64, Problem> {
    match tx.list(RECORDS, Scan::newest(RESTORED, 1))?.pop() {
        Some((key, _)) => Ok(rows::number(RECORDS, &key)? + 1),
        None => Ok(RESTORED_FIRST),
    }
}

/// Takes a message from the archive; where it is new, it gets this place.
pub(crate) fn restore(tx: &Writer<'_>, record: &Record<'_>, me: AccountId, place: u64) -> Result<Came, Problem> {
    let Ok(content) = Content::parse(record.content.get().as_bytes(), record.entry) else {
        return Ok(Came::Malformed);
    };
    for (arrival, header) in at(tx, record.conversation, record.seq)? {
        match &header.event {
            None if header.entry != Some(record.entry) => return Ok(Came::Differs),
            None => {
                let both = header.head.as_ref().zip(record.head.as_ref());
                let differs = both.is_some_and(|(known, named)| known.0 != named);
                return Ok(if differs { Came::Differs } else { Came::Known });
            }
            // The archive has what this device could not open.
            Some(Event::Unreadable(_)) if header.alarms.is_empty() => remove(tx, arrival, &header)?,
            Some(_) => {}
        }
    }
    let header = Header {
        conversation: record.conversation,
        seq: record.seq,
        at: record.at,
        entry: Some(record.entry),
        from: Some((record.from, record.device)),
        own: record.from == me,
        event: None,
        alarms: Vec::new(),
        unarchived: false,
        head: record.head.map(|head| Bytes64(head.to_vec())),
        vanish_at: None,
    };
    put(tx, place, &header, record.content.get().as_bytes())?;
    amended::noted(tx, place, &header, &content)?;
    Ok(Came::Added)
}

/// The newest message before this number that came from the archive with a head: its number, and that head.
pub(crate) fn restored_before(tx: &Reader<'_>, conversation: ConversationId, seq: u64) -> Result<Option<(u64, [u8; 32])>, Problem> {
    /// Rows that are looked at.
    const LOOKED_AT: u32 = 64;
    let before = [&conversation.as_bytes()[..], &seq.to_be_bytes()].concat();
    let scan = Scan {
        after: Some(&before),
        ..Scan::newest(conversation.as_bytes(), LOOKED_AT)
    };
    for (key, _) in tx.list(BY_NUMBER, scan)? {
        let (arrival, header) = find(tx, &key)?;
        let head = header.head.and_then(|head| head.0.try_into().ok());
        if let (true, Some(head)) = (is_restored(arrival), head) {
            return Ok(Some((header.seq, head)));
        }
    }
    Ok(None)
}

/// Whether a note of this device is to be kept. What came from the archive gives way to what this device reads itself;
/// that this device can't open it is no news where the archive had it.
pub(super) fn gives_way(tx: &Writer<'_>, note: &Note) -> Result<bool, Problem> {
    let is_message = matches!(note.what, Noted::Message(_));
    let is_unreadable = matches!(note.what, Noted::Event(Event::Unreadable(_)));
    if note.entry.is_none() || !(is_message || is_unreadable) {
        return Ok(true);
    }
    for (arrival, header) in at(tx, note.conversation, note.seq)? {
        if !is_restored(arrival) {
            continue;
        }
        if is_message {
            remove(tx, arrival, &header)?;
        } else if note.alarms.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The rows of one number.
fn at(tx: &Reader<'_>, conversation: ConversationId, seq: u64) -> Result<Vec<(u64, Header)>, Problem> {
    let prefix = [&conversation.as_bytes()[..], &seq.to_be_bytes()].concat();
    let index = tx.list(BY_NUMBER, Scan::prefix(&prefix))?;
    index.iter().map(|(key, _)| find(tx, key)).collect()
}

fn find(tx: &Reader<'_>, key: &[u8]) -> Result<(u64, Header), Problem> {
    let (_, arrival) = key.split_last_chunk::<8>().ok_or_else(|| rows::damaged(BY_NUMBER))?;
    let row = tx.get(RECORDS, arrival)?.ok_or_else(|| rows::damaged(BY_NUMBER))?;
    let (header, _) = split(row.expose())?;
    Ok((u64::from_be_bytes(*arrival), header))
}
