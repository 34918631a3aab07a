//! `grant`: another role.

use super::{change, lock, state};
use crate::store::{
    Result,
    logs::{Actor, Written},
    rules,
};
use fastchat_schema::PostgresDatabase;
use fastchat_wire::{AccountId, EntryId, LogId, chat::members::Role};

/// Grants a role.
pub(super) async fn grant(
    database: &PostgresDatabase,
    conversation: LogId,
    actor: Actor,
    account: AccountId,
    role: Role,
    member_entry: EntryId,
    at: u64,
) -> Result<Vec<Written>> {
    let mut transaction = database.write().await?;
    lock::logs(&mut transaction, &[conversation]).await?;
    let standing = state::read(&mut transaction, conversation).await?;
    let changes = rules::grant(&standing.state, actor.account, account, role)?;
    let written = change::write(&mut transaction, conversation, &standing, actor, member_entry, at, changes).await?;
    transaction.commit().await?;
    Ok(written)
}
