//! What a change leaves behind: its audit row and its receipt.

use crate::audit::Record;
use crate::store::{
    CommitError, RECEIPT_MS, Receipt, StoreError,
    rows::{self, integer, select},
};
use sqlx::PgConnection;

/// Appends one record to the chain. The lock of the fleet's row, which the caller holds, keeps it one chain.
pub(super) async fn append(connection: &mut PgConnection, record: &Record) -> Result<(), StoreError> {
    let last = sqlx::query(select::LAST_AUDIT).fetch_optional(&mut *connection).await?;
    let row = rows::next_audit(last.as_ref(), record)?;
    sqlx::query("INSERT INTO audit (seq, record, hash) VALUES ($1, $2, $3)")
        .bind(integer(row.seq)?)
        .bind(&row.record)
        .bind(row.hash.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

/// Remembers an answer, and forgets those that are too old.
pub(super) async fn keep_receipt(connection: &mut PgConnection, receipt: &Receipt) -> Result<(), CommitError> {
    let expired = integer(receipt.created_at.saturating_sub(RECEIPT_MS))?;
    sqlx::query("DELETE FROM idempotency WHERE created_at <= $1")
        .bind(expired)
        .execute(&mut *connection)
        .await
        .map_err(StoreError::from)?;
    // Looked up under the lock of the fleet's row, so that nobody comes between.
    let used = sqlx::query("SELECT 1 FROM idempotency WHERE principal = $1 AND key = $2")
        .bind(&receipt.principal)
        .bind(&receipt.key)
        .fetch_optional(&mut *connection)
        .await
        .map_err(StoreError::from)?;
    if used.is_some() {
        return Err(CommitError::KeyUsed);
    }
    sqlx::query(
        "INSERT INTO idempotency (principal, key, fingerprint, status, location, body, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
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
    Ok(())
}
