//! `mark`: watermarks, which never move back.

use crate::store::{Denied, Result, logs::Moved, marks::Marks, values::bindable};
use fastchat_schema::PostgresDatabase;
use fastchat_wire::{AccountId, LogId};
use sqlx::{Executor, Postgres};

/// Moves the marks of a present member.
pub(super) async fn mark(
    database: &PostgresDatabase,
    conversation: LogId,
    account: AccountId,
    delivered: Option<u64>,
    read: Option<u64>,
) -> Result<Moved> {
    let nothing = Moved {
        delivered: None,
        read: None,
    };
    // Most repetitions end here, without a turn at writing.
    if marks(database.pool(), conversation, account).await?.moved(delivered, read) == nothing {
        return Ok(nothing);
    }
    let mut transaction = database.write().await?;
    sqlx::query("SELECT 1 FROM members WHERE log_id = $1 AND account_id = $2 FOR NO KEY UPDATE")
        .bind(conversation.0.as_slice())
        .bind(account.0.as_slice())
        .execute(&mut *transaction)
        .await?;
    let moved = marks(&mut *transaction, conversation, account).await?.moved(delivered, read);
    if moved == nothing {
        return Ok(nothing);
    }
    sqlx::query("UPDATE members SET delivered = coalesce($3, delivered), read = coalesce($4, read) WHERE log_id = $1 AND account_id = $2")
        .bind(conversation.0.as_slice())
        .bind(account.0.as_slice())
        .bind(moved.delivered.map(bindable))
        .bind(moved.read.map(bindable))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(moved)
}

async fn marks<'e>(executor: impl Executor<'e, Database = Postgres>, conversation: LogId, account: AccountId) -> Result<Marks> {
    let row = sqlx::query(
        "SELECT member.delivered, member.read, log.last_seq
         FROM members AS member JOIN logs AS log ON log.id = member.log_id
         WHERE member.log_id = $1 AND member.account_id = $2 AND member.through_seq IS NULL",
    )
    .bind(conversation.0.as_slice())
    .bind(account.0.as_slice())
    .fetch_optional(executor)
    .await?
    .ok_or(Denied::NotMember)?;
    Marks::read(&row)
}
