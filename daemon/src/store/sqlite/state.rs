//! A conversation as it stands under the writer's lock.

use super::values::id_list;
use crate::store::{Denied, Result, standing::Standing, values};
use fastchat_wire::{AccountId, DeviceId, EntryId, LogId};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::collections::BTreeSet;

/// Reads a conversation with all of its members. Denied: `not-member` where there is none.
pub(super) async fn read(connection: &mut SqliteConnection, conversation: LogId) -> Result<Standing> {
    let log = read_log(connection, conversation).await?;
    let members = sqlx::query("SELECT account_id, role, from_seq FROM members WHERE log_id = ? AND through_seq IS NULL")
        .bind(conversation.0.as_slice())
        .fetch_all(connection)
        .await?;
    Standing::read(&log, &members)
}

/// Reads a conversation with those of its members whom something concerns: see [`crate::store::rules::concerned`].
pub(super) async fn read_concerned(
    connection: &mut SqliteConnection,
    conversation: LogId,
    concerned: Option<&BTreeSet<AccountId>>,
) -> Result<Standing> {
    let Some(concerned) = concerned else {
        return read(connection, conversation).await;
    };
    let log = read_log(connection, conversation).await?;
    let members = sqlx::query(
        "SELECT account_id, role, from_seq FROM members
         WHERE log_id = ?1 AND account_id IN (SELECT unhex(value) FROM json_each(?2)) AND through_seq IS NULL",
    )
    .bind(conversation.0.as_slice())
    .bind(id_list(concerned.iter().map(AccountId::as_bytes)))
    .fetch_all(connection)
    .await?;
    Standing::read(&log, &members)
}

async fn read_log(connection: &mut SqliteConnection, conversation: LogId) -> Result<SqliteRow> {
    let log = sqlx::query("SELECT kind, last_seq, members_seq, epoch FROM logs WHERE id = ?")
        .bind(conversation.0.as_slice())
        .fetch_optional(connection)
        .await?;
    Ok(log.ok_or(Denied::NotMember)?)
}

/// Where an entry stands already, and when it came.
pub(super) async fn find_entry(
    connection: &mut SqliteConnection,
    log: LogId,
    entry: EntryId,
    device: DeviceId,
) -> Result<Option<(u64, u64)>> {
    let row = sqlx::query("SELECT seq, at FROM entries WHERE log_id = ? AND entry_id = ? AND device_id = ?")
        .bind(log.0.as_slice())
        .bind(entry.0.as_slice())
        .bind(device.0.as_slice())
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok((values::number(&row, "seq")?, values::number(&row, "at")?)))
        .transpose()
}

/// Denied: `not-found` unless every account exists. Each is named once.
pub(super) async fn check_accounts(connection: &mut SqliteConnection, accounts: &[AccountId]) -> Result<()> {
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM accounts WHERE id IN (SELECT unhex(value) FROM json_each(?))")
        .bind(id_list(accounts.iter().map(AccountId::as_bytes)))
        .fetch_one(connection)
        .await?;
    if usize::try_from(known) == Ok(accounts.len()) {
        Ok(())
    } else {
        Err(Denied::NotFound("there is no such account").into())
    }
}
