//! What the archive was seen to hold before anything of it is taken: a row for each batch that opens, and what the
//! batches say of devices that were sent away.
//!
//! ```text
//!  archive log ──looked through──> rows, marks ──judged──> rows that count ──read again──> history
//!              newest first                     together                    newest first
//! ```
//!
//! Whoever has a device that was sent away can sign batches with its key, and a hostile server shows them first. The
//! mark that condemns them may stand anywhere. So all is looked through before the first message, name or identity is
//! believed; and what is read again counts only where it is the very block that was judged.

use super::batches;
use crate::{
    problem::Problem,
    profile::{archive, rows},
    receipt::Receipt,
};
use fastchat_e2e::{
    ConversationId, DeviceId,
    archive::{Gone, MARKS_MAX, Opened, Placed, Trail},
    store::{Reader, Scan, Table, Writer},
};
use fastchat_wire::encoding::Bytes64;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, hash_map::Entry};

/// u64 number in the archive → [`Indexed`].
const INDEX: Table = Table::new("restoring-entry");
/// device ‖ SHA-256 → nothing: by the archive this was the last block of a device that was sent away.
const MARKS: Table = Table::new("restored-gone");
/// conversation → the newest MLS epoch of which any batch knows, before it is judged.
const EPOCHS: Table = Table::new("restoring-epoch");
/// Rows that are in memory at a time.
const PAGE: u32 = 256;

/// A batch that opened.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Indexed {
    pub(super) device: DeviceId,
    pub(super) n: u64,
    /// SHA-256 of the block.
    pub(super) hash: Bytes64,
    pub(super) prev: Bytes64,
    pub(super) generation: u32,
    /// Messages in it.
    pub(super) records: u64,
    /// Messages in it and in all of the device's before.
    pub(super) messages: u64,
    pub(super) placed: Option<Placed>,
    /// What is in it was taken.
    taken: bool,
}

/// Another restore begins.
pub(super) fn forget(tx: &Writer<'_>) -> Result<(), Problem> {
    empty(tx, INDEX)?;
    empty(tx, EPOCHS)?;
    empty(tx, MARKS)
}

/// Deletes a table's rows.
pub(super) fn empty(tx: &Writer<'_>, table: Table) -> Result<(), Problem> {
    loop {
        let scan = Scan {
            limit: PAGE,
            ..Scan::prefix(&[])
        };
        let page = tx.list(table, scan)?;
        if page.is_empty() {
            return Ok(());
        }
        for (key, _) in page {
            tx.delete(table, &key)?;
        }
    }
}

/// Notes a batch that opened, and what it says of devices that were sent away.
pub(super) fn note(tx: &Writer<'_>, seq: u64, opened: &Opened) -> Result<(), Problem> {
    let batch = opened.batch().map_err(|_| rows::damaged(INDEX))?;
    for Gone { device, last } in &batch.gone {
        let key = [&device.as_bytes()[..], last].concat();
        // One more than are looked at says that there are too many.
        if !tx.has(MARKS, &key)? && marks(tx, *device)?.len() <= MARKS_MAX {
            tx.put(MARKS, &key, &[])?;
        }
    }
    for room in &batch.rooms {
        if room.mls_epoch > mls_epoch(tx, room.conversation)? {
            tx.put(EPOCHS, room.conversation.as_bytes(), &room.mls_epoch.to_be_bytes())?;
        }
    }
    let indexed = Indexed {
        device: batch.device,
        n: batch.n,
        hash: Bytes64(opened.hash.to_vec()),
        prev: Bytes64(batch.prev.to_vec()),
        generation: opened.generation,
        records: batch.records.len() as u64,
        messages: batch.messages,
        placed: batch.placed,
        taken: false,
    };
    rows::put(tx, INDEX, &seq.to_be_bytes(), &indexed)
}

/// What the archive says of a device that was sent away: a few of its marks, one more than are looked at.
pub(super) fn marks(tx: &Reader<'_>, device: DeviceId) -> Result<Vec<[u8; 32]>, Problem> {
    let scan = Scan {
        limit: u32::try_from(MARKS_MAX + 1).unwrap_or(u32::MAX),
        ..Scan::prefix(device.as_bytes())
    };
    let found = tx.list(MARKS, scan)?;
    let last = |key: &[u8]| key.last_chunk().copied().ok_or_else(|| rows::damaged(MARKS));
    found.iter().map(|(key, _)| last(key)).collect()
}

/// The newest MLS epoch of a conversation that any batch has named, 0 for none.
pub(super) fn mls_epoch(tx: &Reader<'_>, conversation: ConversationId) -> Result<u64, Problem> {
    let row = tx.get(EPOCHS, conversation.as_bytes())?;
    row.map_or(Ok(0), |row| rows::number(EPOCHS, row.expose()))
}

/// A batch that counts; none where it was judged otherwise.
pub(super) fn get(tx: &Reader<'_>, seq: u64) -> Result<Option<Indexed>, Problem> {
    rows::get(tx, INDEX, &seq.to_be_bytes())
}

/// What is in it was taken.
pub(super) fn taken(tx: &Writer<'_>, seq: u64, indexed: Indexed) -> Result<(), Problem> {
    let taken = Indexed { taken: true, ..indexed };
    rows::put(tx, INDEX, &seq.to_be_bytes(), &taken)
}

/// A batch was not shown again as it was judged.
pub(super) fn lost(tx: &Writer<'_>, seq: u64, indexed: &Indexed) -> Result<(), Problem> {
    tx.delete(INDEX, &seq.to_be_bytes())?;
    batches::lost(tx, indexed.device, indexed.n)
}

/// All was looked through: says of each batch beyond `through` whether it counts; those before have been taken.
pub(super) fn judge(tx: &Writer<'_>, through: u64, receipt: &mut Receipt) -> Result<(), Problem> {
    let mut trails: HashMap<DeviceId, Trail> = HashMap::new();
    receipt.reconsider_ignored();
    each(tx, |seq, indexed| {
        let trail = match trails.entry(indexed.device) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(trail_of(tx, indexed.device)?),
        };
        let (hash, prev) = (block_hash(&indexed.hash)?, block_hash(&indexed.prev)?);
        if !trail.leads_to(&hash, &prev) {
            receipt.ignore(indexed.device, indexed.records, indexed.taken);
            if !indexed.taken {
                tx.delete(INDEX, &seq.to_be_bytes())?;
            }
        } else if seq > through
            && let Err(cause) = batches::note(tx, seq, &indexed)?
        {
            receipt.refuse(seq, cause);
            tx.delete(INDEX, &seq.to_be_bytes())?;
        }
        Ok(())
    })?;
    let mut after = None::<Vec<u8>>;
    loop {
        let scan = Scan {
            after: after.as_deref(),
            limit: PAGE,
            ..Scan::prefix(&[])
        };
        let page = tx.list(MARKS, scan)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, _) in page {
            let device = key.first_chunk().ok_or_else(|| rows::damaged(MARKS))?;
            let device = DeviceId(*device);
            let lacks = match trails.get(&device) {
                Some(trail) => trail.lacks_the_last(),
                None => trail_of(tx, device)?.lacks_the_last(),
            };
            if lacks {
                receipt.lack_the_last(device);
            }
        }
    }
}

/// By the archive, and by what this device has noted itself.
fn trail_of(tx: &Reader<'_>, device: DeviceId) -> Result<Trail, Problem> {
    let noted = archive::last_of(tx, device)?;
    Ok(Trail::new(noted.into_iter().chain(marks(tx, device)?)))
}

/// The end of a restore: what counted and was not shown again is told, and the index is dropped.
pub(super) fn finish(tx: &Writer<'_>, receipt: &mut Receipt) -> Result<(), Problem> {
    each(tx, |seq, indexed| {
        if !indexed.taken {
            receipt.refuse(seq, "the server showed it once, and then not any more");
            lost(tx, seq, &indexed)?;
        }
        Ok(())
    })?;
    empty(tx, EPOCHS)?;
    empty(tx, INDEX)
}

/// Newest first.
fn each(tx: &Writer<'_>, mut work: impl FnMut(u64, Indexed) -> Result<(), Problem>) -> Result<(), Problem> {
    let mut after = None::<Vec<u8>>;
    loop {
        let scan = Scan {
            after: after.as_deref(),
            ..Scan::newest(&[], PAGE)
        };
        let page = tx.list(INDEX, scan)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, row) in page {
            work(rows::number(INDEX, &key)?, rows::parse(INDEX, row.expose())?)?;
        }
    }
}

fn block_hash(bytes: &Bytes64) -> Result<[u8; 32], Problem> {
    bytes.0.as_slice().try_into().map_err(|_| rows::damaged(INDEX))
}
