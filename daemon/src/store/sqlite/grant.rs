//! `grant`: another role.

use super::{change, state};
use crate::store::{
    Result,
    logs::{Actor, Written},
    rules,
};
use fastchat_schema::Database;
use fastchat_wire::{AccountId, EntryId, LogId, chat::members::Role};

/// Grants a role.
pub(super) async fn grant(
    database: &Database,
    conversation: LogId,
    actor: Actor,
    account: AccountId,
    role: Role,
    member_entry: EntryId,
    at: u64,
) -> Result<Vec<Written>> {
    let mut transaction = database.write().await?;
    let standing = state::read(&mut transaction, conversation).await?;
    let changes = rules::grant(&standing.state, actor.account, account, role)?;
    let written = change::write(&mut transaction, conversation, &standing, actor, member_entry, at, changes).await?;
    transaction.commit().await?;
    Ok(written)
}
