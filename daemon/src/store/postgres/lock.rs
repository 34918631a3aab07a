//! Locks, always before the statements that decide: a statement that waited for a
//! lock has seen the rest of the database as it was before, so what the decision
//! needs is read by the next one.
//!
//! Whoever takes several takes them in this order: accounts, logs by id, devices
//! by id, then rows that hang on these.

use super::values::id_list;
use crate::store::Result;
use fastchat_wire::{AccountId, LogId};
use sqlx::PgConnection;

/// Locks an account's row, which its devices, sessions and quotas are decided under.
pub(super) async fn account(connection: &mut PgConnection, account: AccountId) -> Result<()> {
    sqlx::query("SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE")
        .bind(account.0.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

/// Locks logs, each in its turn, as `append_batch` does.
pub(super) async fn logs(connection: &mut PgConnection, logs: &[LogId]) -> Result<()> {
    sqlx::query("SELECT 1 FROM logs WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE")
        .bind(id_list(logs.iter().map(LogId::as_bytes)))
        .execute(connection)
        .await?;
    Ok(())
}
