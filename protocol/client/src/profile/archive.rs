//! What of this profile goes into the account's archive, and how far it got.
//!
//! ```text
//!  history beyond the mark ─┐
//!  rooms and pins that are ─┼─> one batch ──> kept, mark moved ──> the session's outbox ──> archive log
//!  due                     ─┘      (one transaction)
//! ```
//!
//! A batch and what it covers are one change: a crash before it archives the same later, a crash after it sends the
//! same bytes. So each message is in the archive of this device once.

use super::{
    contacts, history, identity, rooms,
    rows::{self, ONLY},
};
use crate::{ids::new_entry, problem::Problem};
use fastchat_e2e::{
    AccountId, ConversationId, DeviceId, EntryId,
    archive::{ArchiveError, Batch, FIRST_PREV, Gone, Placed, RECORDS_MAX, STATES_MAX, seal_batch},
    groups::Groups,
    store::{Reader, Scan, Table, Writer},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// → [`Chain`].
const CHAIN: Table = Table::new("archive-chain");
/// → the last arrival that was archived, or is not to be.
const MARK: Table = Table::new("archive-mark");
/// u64 n → entry ‖ block: what waits to be sent.
const OUTBOX: Table = Table::new("archive-outbox");
/// entry → u64 n.
const BY_ENTRY: Table = Table::new("archive-outbox-entry");
/// conversation → nothing: how it stands is to be archived.
const ROOMS_DUE: Table = Table::new("archive-room");
/// account → nothing: its pin is to be archived.
const PINS_DUE: Table = Table::new("archive-pin");

/// own device that was sent away → SHA-256 of the last block that it had archived.
const GONE: Table = Table::new("archive-gone");
/// device → nothing: that one is to be archived.
const GONE_DUE: Table = Table::new("archive-gone-due");
/// → [`Placed`]: the last of this device's batches of which it is known where it stands.
const PLACED: Table = Table::new("archive-placed");

/// Bytes of one batch's messages, unless one alone has more.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// Rooms of one batch whose rosters are told, and pins.
const DUE_MAX: u32 = 64;

/// This device's batches so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Chain {
    n: u64,
    /// SHA-256 of the last block.
    prev: [u8; 32],
    /// Messages in all of them.
    messages: u64,
}

/// What waits to be archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Nothing.
    Nothing,
    /// Less than a whole batch.
    Some,
    /// A whole batch.
    Batch,
}

/// How much waits.
pub(crate) fn waiting(tx: &Reader<'_>) -> Result<Waiting, Problem> {
    let waiting = history::last(tx)?.saturating_sub(mark(tx)?);
    let one = |table| {
        let scan = Scan {
            limit: 1,
            ..Scan::prefix(&[])
        };
        tx.list(table, scan).map(|rows| !rows.is_empty())
    };
    Ok(match waiting {
        _ if identity::backup(tx)?.is_none() => Waiting::Nothing,
        waiting if waiting >= RECORDS_MAX as u64 => Waiting::Batch,
        1.. => Waiting::Some,
        0 if one(ROOMS_DUE)? || one(PINS_DUE)? || one(GONE_DUE)? => Waiting::Some,
        0 => Waiting::Nothing,
    })
}

/// Makes one batch of what waits, and keeps it to be sent. False where nothing waits.
pub(crate) fn archive(groups: &Groups, tx: &Writer<'_>) -> Result<bool, Problem> {
    let (Some((_, backup)), Some(credential), Some(key)) = (identity::backup(tx)?, identity::credential(tx)?, identity::device_key(tx)?)
    else {
        return Ok(false);
    };
    let chain = match rows::get::<Chain>(tx, CHAIN, ONLY)? {
        Some(chain) => chain,
        None => begin(tx)?,
    };
    let found = history::unarchived(tx, mark(tx)?, RECORDS_MAX, BATCH_BYTES_MAX)?;
    let mut records = found.records()?;
    for record in &mut records {
        record.head = groups.head_at(tx, record.conversation, record.seq)?;
    }
    let due_rooms: Vec<ConversationId> = due(tx, ROOMS_DUE)?;
    let due_pins: Vec<AccountId> = due(tx, PINS_DUE)?;
    if found.through > mark(tx)? {
        rows::put(tx, MARK, ONLY, &found.through)?;
    }

    let touched: BTreeSet<ConversationId> = records.iter().map(|record| record.conversation).collect();
    let mut states = Vec::new();
    for conversation in touched.difference(&due_rooms.iter().copied().collect()) {
        states.extend(rooms::archived(tx, groups, *conversation)?);
    }
    for conversation in &due_rooms {
        states.extend(rooms::archived(tx, groups, *conversation)?);
        tx.delete(ROOMS_DUE, conversation.as_bytes())?;
    }
    states.truncate(STATES_MAX);
    // Who is in it is named with it: the newest batch is read first, and alone at first.
    let me = credential.subject();
    let mut people: BTreeSet<AccountId> = records.iter().map(|record| record.from).collect();
    people.extend(states.iter().filter_map(|state| state.peer));
    people.extend(&due_pins);
    people.remove(&me.account);
    let mut pins = Vec::new();
    for account in people {
        pins.extend(contacts::archived(tx, account)?);
    }
    for account in &due_pins {
        tx.delete(PINS_DUE, account.as_bytes())?;
    }
    let due_gone: Vec<DeviceId> = due(tx, GONE_DUE)?;
    if records.is_empty() && states.is_empty() && pins.is_empty() && due_gone.is_empty() {
        return Ok(false);
    }
    let gone = gone(tx, due_gone)?;

    let batch = Batch {
        device: me.device,
        credential: credential.as_bytes().to_vec(),
        n: chain.n + 1,
        prev: chain.prev,
        messages: chain.messages + records.len() as u64,
        records,
        rooms: states,
        pins,
        gone,
        placed: rows::get(tx, PLACED, ONLY)?,
    };
    let block = seal_batch(me.account, &key, &backup, &batch, &mut rand::rng()).map_err(unsealed)?;
    let next = Chain {
        n: batch.n,
        prev: Sha256::digest(&block).into(),
        messages: batch.messages,
    };
    rows::put(tx, CHAIN, ONLY, &next)?;
    let entry = new_entry();
    tx.put(BY_ENTRY, entry.as_bytes(), &next.n.to_be_bytes())?;
    tx.put(OUTBOX, &next.n.to_be_bytes(), &[&entry.as_bytes()[..], &block].concat())?;
    Ok(true)
}

/// This device's first batch: all that it knows of conversations and people is due.
fn begin(tx: &Writer<'_>) -> Result<Chain, Problem> {
    for conversation in rooms::all(tx)? {
        room_is_due(tx, conversation)?;
    }
    for account in contacts::all(tx)? {
        pin_is_due(tx, account)?;
    }
    Ok(Chain {
        n: 0,
        prev: FIRST_PREV,
        messages: 0,
    })
}

/// What comes from the archive is no news for it.
pub(crate) fn begin_restored(tx: &Writer<'_>) -> Result<(), Problem> {
    if !tx.has(CHAIN, ONLY)? {
        let blank = Chain {
            n: 0,
            prev: FIRST_PREV,
            messages: 0,
        };
        rows::put(tx, CHAIN, ONLY, &blank)?;
    }
    Ok(())
}

/// A conversation stands otherwise than before.
pub(crate) fn room_is_due(tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Problem> {
    Ok(tx.put(ROOMS_DUE, conversation.as_bytes(), &[])?)
}

/// Somebody was met, or is known otherwise than before.
pub(crate) fn pin_is_due(tx: &Writer<'_>, account: AccountId) -> Result<(), Problem> {
    Ok(tx.put(PINS_DUE, account.as_bytes(), &[])?)
}

/// What an own device that was sent away had archived last: SHA-256 of the block, [`FIRST_PREV`] for nothing.
pub(crate) fn note_gone(tx: &Writer<'_>, device: DeviceId, last: [u8; 32]) -> Result<(), Problem> {
    tx.put(GONE, device.as_bytes(), &last)?;
    Ok(tx.put(GONE_DUE, device.as_bytes(), &[])?)
}

/// The same as this device has noted it.
pub(crate) fn last_of(tx: &Reader<'_>, device: DeviceId) -> Result<Option<[u8; 32]>, Problem> {
    let row = tx.get(GONE, device.as_bytes())?;
    row.map(|row| row.expose().try_into().map_err(|_| rows::damaged(GONE))).transpose()
}

/// Devices that were sent away, those that are due first: each batch tells of all of them, as far as there is room.
/// Who keeps one of them back keeps back all that this device archived since.
fn gone(tx: &Writer<'_>, due: Vec<DeviceId>) -> Result<Vec<Gone>, Problem> {
    let newest = u32::try_from(STATES_MAX - due.len()).unwrap_or(0);
    let mut devices: BTreeSet<DeviceId> = due.into_iter().collect();
    for device in &devices {
        tx.delete(GONE_DUE, device.as_bytes())?;
    }
    for (key, _) in tx.list(GONE, Scan::newest(&[], newest))? {
        devices.insert(DeviceId::try_from(&key[..]).map_err(|_| rows::damaged(GONE))?);
    }
    let told = devices.into_iter().map(|device| {
        let last = last_of(tx, device)?.ok_or_else(|| rows::damaged(GONE))?;
        Ok(Gone { device, last })
    });
    told.collect()
}

fn due<T: for<'a> TryFrom<&'a [u8]>>(tx: &Reader<'_>, table: Table) -> Result<Vec<T>, Problem> {
    let scan = Scan {
        limit: DUE_MAX,
        ..Scan::prefix(&[])
    };
    let found = tx.list(table, scan)?;
    found
        .iter()
        .map(|(key, _)| T::try_from(&key[..]).map_err(|_| rows::damaged(table)))
        .collect()
}

fn mark(tx: &Reader<'_>) -> Result<u64, Problem> {
    Ok(rows::get(tx, MARK, ONLY)?.unwrap_or(0))
}

/// True where a batch waits to be sent.
pub(crate) fn has_unsent(tx: &Reader<'_>) -> Result<bool, Problem> {
    let first = Scan {
        limit: 1,
        ..Scan::prefix(&[])
    };
    Ok(!tx.list(BY_ENTRY, first)?.is_empty())
}

/// The first batches that wait to be sent: at most so many, and (but for the first) no more than so many bytes.
pub(crate) fn first(tx: &Reader<'_>, batches_max: usize, bytes_max: usize) -> Result<Vec<(EntryId, Vec<u8>)>, Problem> {
    let mut found = Vec::new();
    let (mut after, mut bytes) = (None::<Vec<u8>>, 0);
    while found.len() < batches_max {
        let scan = Scan {
            after: after.as_deref(),
            limit: 1,
            ..Scan::prefix(&[])
        };
        let Some((key, row)) = tx.list(OUTBOX, scan)?.pop() else {
            break;
        };
        let (entry, block) = row.expose().split_first_chunk().ok_or_else(|| rows::damaged(OUTBOX))?;
        bytes += block.len();
        if bytes > bytes_max && !found.is_empty() {
            break;
        }
        found.push((EntryId(*entry), block.to_vec()));
        after = Some(key);
    }
    Ok(found)
}

/// A batch is over: it stands in the archive, under this number, or never will. False where it is none.
pub(crate) fn settle(tx: &Writer<'_>, entry: EntryId, seq: Option<u64>) -> Result<bool, Problem> {
    let Some(n) = tx.get(BY_ENTRY, entry.as_bytes())? else {
        return Ok(false);
    };
    if let Some(seq) = seq {
        let placed = Placed {
            n: rows::number(BY_ENTRY, n.expose())?,
            seq,
        };
        rows::put(tx, PLACED, ONLY, &placed)?;
    }
    tx.delete(OUTBOX, n.expose())?;
    Ok(tx.delete(BY_ENTRY, entry.as_bytes())?)
}

fn unsealed(error: ArchiveError) -> Problem {
    Problem::declined(
        "profile-damaged",
        format!("a batch for the archive can't be sealed: {error}; sign in again in a new profile"),
    )
}
