//! The outbox: what was sealed and stored, and does not stand in the log yet.
//!
//! ```text
//!   written with the group's state ──> pending ── acknowledged(seq) ──> waits for the cursor ──> taken, deleted
//!                                         └── epoch-conflict ──> sealed again, or withdrawn
//! ```
//!
//! A row is deleted only once its entry was taken in the log's order.

use super::error::Error;
use crate::{
    id::{AccountId, ConversationId, DeviceId, EntryId},
    secret::SecretBytes,
    store::{Reader, Scan, Table, Writer},
};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use zeroize::Zeroizing;

/// u64 order → row. A row is u32 length ‖ header as JSON ‖ parts.
const ROWS: Table = Table::new("outbox");
/// conversation ‖ entry → order.
const BY_ENTRY: Table = Table::new("outbox-entry");
/// conversation ‖ u64 number → order: acknowledged, and waiting for the cursor.
const BY_SEQ: Table = Table::new("outbox-acknowledged");

/// Rows that are in memory at a time, where there may be many.
const PAGE: u32 = 64;

/// Something to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Into which log.
    pub conversation: ConversationId,
    /// Under which id; the same again whenever it is sent again.
    pub entry: EntryId,
    /// The server's epoch that it was sealed in.
    pub epoch: u64,
    /// Its number, once the server has acknowledged it.
    pub acknowledged: Option<u64>,
    /// What is to be sent.
    pub payload: Payload,
}

/// What is to be sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// For `append`, as kind `app`.
    Message {
        /// The sealed block.
        block: Vec<u8>,
    },
    /// For `commit`.
    Commit {
        /// The commit.
        commit: Vec<u8>,
        /// The Welcome and its entry's id, where somebody joins.
        welcome: Option<(EntryId, Vec<u8>)>,
        /// The GroupInfo.
        group_info: Vec<u8>,
        /// Accounts that come.
        added: Vec<AccountId>,
        /// Accounts that go.
        removed: Vec<AccountId>,
        /// Devices that the Welcome is for.
        welcome_to: Vec<DeviceId>,
    },
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Message { .. } => "Message",
            Self::Commit { .. } => "Commit",
        })
    }
}

/// A row: what is to be sent, and for a message what it says.
pub(super) struct Row {
    pub(super) outgoing: Outgoing,
    /// Empty for a commit.
    pub(super) plaintext: SecretBytes,
}

impl Row {
    /// The block as it will stand in the log.
    pub(super) fn block(&self) -> &[u8] {
        match &self.outgoing.payload {
            Payload::Message { block } => block,
            Payload::Commit { commit, .. } => commit,
        }
    }

    pub(super) fn is_commit(&self) -> bool {
        matches!(self.outgoing.payload, Payload::Commit { .. })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    conversation: ConversationId,
    entry: EntryId,
    epoch: u64,
    acknowledged: Option<u64>,
    commit: Option<CommitHeader>,
    parts: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommitHeader {
    welcome: Option<EntryId>,
    added: Vec<AccountId>,
    removed: Vec<AccountId>,
    welcome_to: Vec<DeviceId>,
}

fn by_entry(conversation: ConversationId, entry: EntryId) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(conversation.as_bytes());
    key[16..].copy_from_slice(entry.as_bytes());
    key
}

/// Puts something at the outbox's end, or replaces it in its place.
pub(super) fn put(tx: &Writer<'_>, row: &Row) -> Result<(), Error> {
    let out = &row.outgoing;
    let index = by_entry(out.conversation, out.entry);
    let order = match tx.get(BY_ENTRY, &index)? {
        Some(order) => order.expose().to_vec(),
        None => {
            let last = tx.list(ROWS, Scan::newest(&[], 1))?.pop();
            let last = last.and_then(|(key, _)| key.try_into().ok()).map_or(0, u64::from_be_bytes);
            (last + 1).to_be_bytes().to_vec()
        }
    };
    tx.put(BY_ENTRY, &index, &order)?;
    if let Some(seq) = out.acknowledged {
        tx.put(BY_SEQ, &super::rows::numbered(out.conversation, seq), &order)?;
    }
    let bytes = encode(row).ok_or(Error::Damaged(out.conversation))?;
    Ok(tx.put(ROWS, &order, &bytes)?)
}

pub(super) fn find(tx: &Reader<'_>, conversation: ConversationId, entry: EntryId) -> Result<Option<Row>, Error> {
    at(tx, conversation, tx.get(BY_ENTRY, &by_entry(conversation, entry))?)
}

/// The own entry that the server acknowledged for a number.
pub(super) fn acknowledged_for(tx: &Reader<'_>, conversation: ConversationId, seq: u64) -> Result<Option<Row>, Error> {
    at(tx, conversation, tx.get(BY_SEQ, &super::rows::numbered(conversation, seq))?)
}

fn at(tx: &Reader<'_>, conversation: ConversationId, order: Option<SecretBytes>) -> Result<Option<Row>, Error> {
    let Some(order) = order else { return Ok(None) };
    let row = tx.get(ROWS, order.expose())?.ok_or(Error::Damaged(conversation))?;
    decode(row.expose()).map(Some).ok_or(Error::Damaged(conversation))
}

pub(super) fn delete(tx: &Writer<'_>, out: &Outgoing) -> Result<(), Error> {
    let index = by_entry(out.conversation, out.entry);
    if let Some(order) = tx.get(BY_ENTRY, &index)? {
        tx.delete(ROWS, order.expose())?;
    }
    tx.delete(BY_ENTRY, &index)?;
    if let Some(seq) = out.acknowledged {
        tx.delete(BY_SEQ, &super::rows::numbered(out.conversation, seq))?;
    }
    Ok(())
}

/// What is to be sent, in the order in which it was sealed, until `each` has enough; acknowledged ones left out.
pub(super) fn each_pending(tx: &Reader<'_>, mut each: impl FnMut(Outgoing) -> ControlFlow<()>) -> Result<(), Error> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let scan = Scan {
            after: after.as_deref(),
            limit: PAGE,
            ..Scan::prefix(&[])
        };
        let page = tx.list(ROWS, scan)?;
        for (_, row) in &page {
            let out = decode(row.expose()).ok_or(Error::Damaged(ConversationId([0; 16])))?.outgoing;
            if out.acknowledged.is_none() && each(out).is_break() {
                return Ok(());
            }
        }
        match page.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => return Ok(()),
        }
    }
}

/// The conversations that have rows, each once; perhaps only acknowledged ones.
pub(super) fn conversations(tx: &Reader<'_>) -> Result<Vec<ConversationId>, Error> {
    let mut found: Vec<ConversationId> = Vec::new();
    loop {
        let last = found.last().map(|last| by_entry(*last, EntryId([u8::MAX; 16])));
        let scan = Scan {
            after: last.as_ref().map(<[u8; 32]>::as_slice),
            limit: 1,
            ..Scan::prefix(&[])
        };
        let Some((key, _)) = tx.list(BY_ENTRY, scan)?.pop() else {
            return Ok(found);
        };
        let conversation = key.first_chunk().ok_or(Error::Damaged(ConversationId([0; 16])))?;
        found.push(ConversationId(*conversation));
    }
}

/// Deletes everything of one conversation; gives the messages that the server never acknowledged.
pub(super) fn clear(tx: &Writer<'_>, conversation: ConversationId) -> Result<Vec<EntryId>, Error> {
    let mut unsent = Vec::new();
    for row in of(tx, conversation)? {
        delete(tx, &row.outgoing)?;
        if row.outgoing.acknowledged.is_none() && !row.is_commit() {
            unsent.push(row.outgoing.entry);
        }
    }
    Ok(unsent)
}

/// Keeps a conversation's unsent messages, and nothing else: this device comes back into it.
pub(super) fn keep_unsent(tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Error> {
    for row in of(tx, conversation)? {
        if row.outgoing.acknowledged.is_some() || row.is_commit() {
            delete(tx, &row.outgoing)?;
        }
    }
    Ok(())
}

fn of(tx: &Reader<'_>, conversation: ConversationId) -> Result<Vec<Row>, Error> {
    let index = tx.list(BY_ENTRY, Scan::prefix(conversation.as_bytes()))?;
    let rows = index.into_iter().map(|(_, order)| at(tx, conversation, Some(order)));
    rows.filter_map(Result::transpose).collect()
}

fn encode(row: &Row) -> Option<Zeroizing<Vec<u8>>> {
    let out = &row.outgoing;
    let (commit, parts) = match &out.payload {
        Payload::Message { block } => (None, vec![&block[..], row.plaintext.expose()]),
        Payload::Commit {
            commit,
            welcome,
            group_info,
            added,
            removed,
            welcome_to,
        } => {
            let header = CommitHeader {
                welcome: welcome.as_ref().map(|(entry, _)| *entry),
                added: added.clone(),
                removed: removed.clone(),
                welcome_to: welcome_to.clone(),
            };
            let welcome = welcome.as_ref().map(|(_, bytes)| &bytes[..]);
            (Some(header), vec![&commit[..], welcome.unwrap_or_default(), group_info])
        }
    };
    let header = serde_json::to_vec(&Header {
        conversation: out.conversation,
        entry: out.entry,
        epoch: out.epoch,
        acknowledged: out.acknowledged,
        commit,
        parts: parts.iter().map(|part| part.len() as u64).collect(),
    })
    .ok()?;
    let length = u32::try_from(header.len()).ok()?;
    Some(Zeroizing::new([&length.to_be_bytes()[..], &header, &parts.concat()].concat()))
}

fn decode(bytes: &[u8]) -> Option<Row> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (header, mut rest) = rest.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)?;
    let header: Header = serde_json::from_slice(header).ok()?;
    let mut parts = Vec::with_capacity(header.parts.len());
    for length in header.parts {
        let (part, after) = rest.split_at_checked(length.try_into().ok()?)?;
        parts.push(part.to_vec());
        rest = after;
    }
    let (payload, plaintext) = match (header.commit, <[Vec<u8>; 3]>::try_from(parts)) {
        (Some(commit), Ok([bytes, welcome, group_info])) => (
            Payload::Commit {
                commit: bytes,
                welcome: commit.welcome.map(|entry| (entry, welcome)),
                group_info,
                added: commit.added,
                removed: commit.removed,
                welcome_to: commit.welcome_to,
            },
            Vec::new(),
        ),
        (None, Err(parts)) => {
            let [block, plaintext] = parts.try_into().ok()?;
            (Payload::Message { block }, plaintext)
        }
        _ => return None,
    };
    rest.is_empty().then_some(Row {
        outgoing: Outgoing {
            conversation: header.conversation,
            entry: header.entry,
            epoch: header.epoch,
            acknowledged: header.acknowledged,
            payload,
        },
        plaintext: SecretBytes::new(plaintext),
    })
}
