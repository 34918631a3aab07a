//! Entries into their table: any number of them in one statement.

use crate::store::{Result, logs::Entry, values::bindable};
use fastchat_wire::{AccountId, DeviceId};
use sqlx::PgConnection;

/// Inserts entries, whose numbers the caller took from their logs' rows under their locks.
pub(super) async fn insert<'a>(connection: &mut PgConnection, entries: impl Iterator<Item = &'a Entry> + Clone) -> Result<()> {
    let column = |of: fn(&'a Entry) -> &'a [u8]| -> Vec<&'a [u8]> { entries.clone().map(of).collect() };
    let numbers = |of: fn(&Entry) -> u64| -> Vec<i64> { entries.clone().map(|entry| bindable(of(entry))).collect() };
    let accounts: Vec<Option<&[u8]>> = entries
        .clone()
        .map(|entry| entry.from.as_ref().map(|id| AccountId::as_bytes(id).as_slice()))
        .collect();
    let devices: Vec<Option<&[u8]>> = entries
        .clone()
        .map(|entry| entry.device.as_ref().map(|id| DeviceId::as_bytes(id).as_slice()))
        .collect();
    sqlx::query(
        "INSERT INTO entries (log_id, seq, at, kind, entry_id, account_id, device_id, epoch, block)
         SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bigint[], $9::bytea[])",
    )
    .bind(column(|entry| entry.log.0.as_slice()))
    .bind(numbers(|entry| entry.seq))
    .bind(numbers(|entry| entry.at))
    .bind(entries.clone().map(|entry| &*entry.kind).collect::<Vec<&str>>())
    .bind(column(|entry| entry.entry.0.as_slice()))
    .bind(accounts)
    .bind(devices)
    .bind(entries.clone().map(|entry| entry.epoch.map(bindable)).collect::<Vec<Option<i64>>>())
    .bind(column(|entry| &entry.block))
    .execute(connection)
    .await?;
    Ok(())
}
