//! `trim`: a device forgets the beginning of its inbox.

use crate::store::{
    Denied, Result,
    inbox::{self, Untrimmed},
    values::{self, bindable},
};
use fastchat_schema::Database;
use fastchat_wire::{DeviceId, LogId};

/// Trims an inbox through a number, at most all of it.
pub(super) async fn trim(database: &Database, log: LogId, device: DeviceId, through: u64) -> Result<()> {
    inbox::own(log, device)?;
    let mut transaction = database.write().await?;
    let row = sqlx::query("SELECT kind, first_seq, last_seq FROM logs WHERE id = ?")
        .bind(log.0.as_slice())
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or(Denied::NotMember)?;
    let untrimmed = Untrimmed {
        kind: values::log_kind(&row, "kind")?,
        first_seq: values::number(&row, "first_seq")?,
        last_seq: values::number(&row, "last_seq")?,
    };
    let Some(first_seq) = inbox::trimmed(untrimmed, through)? else {
        return Ok(());
    };
    sqlx::query("DELETE FROM entries WHERE log_id = ? AND seq < ?")
        .bind(log.0.as_slice())
        .bind(bindable(first_seq))
        .execute(&mut *transaction)
        .await?;
    sqlx::query("UPDATE logs SET first_seq = ?2 WHERE id = ?1")
        .bind(log.0.as_slice())
        .bind(bindable(first_seq))
        .execute(&mut *transaction)
        .await?;
    Ok(transaction.commit().await?)
}
