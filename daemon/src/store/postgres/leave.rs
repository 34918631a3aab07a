//! `leave`: a member goes by itself.

use super::{change, lock, state};
use crate::store::{
    Result,
    logs::{Actor, Written},
    rules,
};
use fastchat_schema::PostgresDatabase;
use fastchat_wire::{EntryId, LogId};

/// Leaves a conversation.
pub(super) async fn leave(
    database: &PostgresDatabase,
    conversation: LogId,
    actor: Actor,
    member_entry: EntryId,
    at: u64,
) -> Result<Vec<Written>> {
    let mut transaction = database.write().await?;
    lock::logs(&mut transaction, &[conversation]).await?;
    let standing = state::read(&mut transaction, conversation).await?;
    let changes = rules::leave(&standing.state, actor.account)?;
    let written = change::write(&mut transaction, conversation, &standing, actor, member_entry, at, changes).await?;
    transaction.commit().await?;
    Ok(written)
}
