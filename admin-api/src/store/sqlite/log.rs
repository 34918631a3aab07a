//! What a change leaves behind: its audit row and its receipt.

use crate::audit::Record;
use crate::store::{
    CommitError, RECEIPT_MS, Receipt, StoreError,
    rows::{self, integer, select},
};
use sqlx::SqliteConnection;

/// Appends one record to the chain. The writer's turn keeps it one chain.
pub(super) async fn append(connection: &mut SqliteConnection, record: &Record) -> Result<(), StoreError> {
    let last = sqlx::query(select::LAST_AUDIT).fetch_optional(&mut *connection).await?;
    let row = rows::next_audit(last.as_ref(), record)?;
    sqlx::query("INSERT INTO audit (seq, record, hash) VALUES (?, ?, ?)")
        .bind(integer(row.seq)?)
        .bind(&row.record)
        .bind(row.hash.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

/// Remembers an answer, and forgets those that are too old.
pub(super) async fn keep_receipt(connection: &mut SqliteConnection, receipt: &Receipt) -> Result<(), CommitError> {
    let expired = integer(receipt.created_at.saturating_sub(RECEIPT_MS))?;
    sqlx::query("DELETE FROM idempotency WHERE created_at <= ?")
        .bind(expired)
        .execute(&mut *connection)
        .await
        .map_err(StoreError::from)?;
    let kept = sqlx::query(
        "INSERT INTO idempotency (principal, key, fingerprint, status, location, body, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING",
    )
    .bind(&receipt.principal)
    .bind(&receipt.key)
    .bind(receipt.fingerprint.as_slice())
    .bind(i64::from(receipt.status))
    .bind(&receipt.location)
    .bind(&receipt.body)
    .bind(integer(receipt.created_at)?)
    .execute(connection)
    .await
    .map_err(StoreError::from)?;
    if kept.rows_affected() == 1 {
        Ok(())
    } else {
        Err(CommitError::KeyUsed)
    }
}
