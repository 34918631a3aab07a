//! Entries into their table: any number of them in one statement.
//!
//! All ids and blocks travel concatenated in one blob, and a JSON array says
//! where each entry's begin: row by row would be half as fast.

use crate::store::{Result, logs::Entry, values::bindable};
use fastchat_wire::{AccountId, DeviceId, EntryId, LogId};
use sqlx::SqliteConnection;

/// An entry to insert, numbered.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewEntry<'a> {
    pub(super) log: LogId,
    pub(super) seq: u64,
    pub(super) at: u64,
    pub(super) kind: &'a str,
    pub(super) entry: EntryId,
    /// Absent on the server's notices.
    pub(super) sender: Option<(AccountId, DeviceId)>,
    pub(super) epoch: Option<u64>,
    pub(super) block: &'a [u8],
}

impl<'a> From<&'a Entry> for NewEntry<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            log: entry.log,
            seq: entry.seq,
            at: entry.at,
            kind: &entry.kind,
            entry: entry.entry,
            sender: entry.from.zip(entry.device),
            epoch: entry.epoch,
            block: &entry.block,
        }
    }
}

/// Where the pieces are: offset of log, entry, account, device and block (from
/// 1, as `substr` counts), the block's length, then the plain columns.
type Place<'a> = (usize, usize, i64, i64, &'a str, Option<i64>, bool);

/// Inserts entries, whose numbers the caller took from their logs' rows.
pub(super) async fn insert(connection: &mut SqliteConnection, entries: &[NewEntry<'_>]) -> Result<()> {
    let bytes = entries.iter().map(|entry| 64 + entry.block.len()).sum();
    let mut blob = Vec::with_capacity(bytes);
    let mut places: Vec<Place<'_>> = Vec::with_capacity(entries.len());
    for entry in entries {
        places.push((
            blob.len() + 1,
            entry.block.len(),
            bindable(entry.seq),
            bindable(entry.at),
            entry.kind,
            entry.epoch.map(bindable),
            entry.sender.is_some(),
        ));
        let (account, device) = entry.sender.unwrap_or((AccountId([0; 16]), DeviceId([0; 16])));
        for piece in [entry.log.as_bytes(), entry.entry.as_bytes(), account.as_bytes(), device.as_bytes()] {
            blob.extend_from_slice(piece);
        }
        blob.extend_from_slice(entry.block);
    }
    let places = serde_json::to_string(&places).map_err(|error| crate::store::StoreError::Internal(error.into()))?;
    sqlx::query(INSERT).bind(places).bind(blob).execute(connection).await?;
    Ok(())
}

const INSERT: &str = "
    INSERT INTO entries (log_id, entry_id, account_id, device_id, block, seq, at, kind, epoch)
    SELECT substr(?2, value ->> 0, 16),
           substr(?2, (value ->> 0) + 16, 16),
           CASE WHEN value ->> 6 THEN substr(?2, (value ->> 0) + 32, 16) END,
           CASE WHEN value ->> 6 THEN substr(?2, (value ->> 0) + 48, 16) END,
           substr(?2, (value ->> 0) + 64, value ->> 1),
           value ->> 2, value ->> 3, value ->> 4, value ->> 5
    FROM json_each(?1)";
