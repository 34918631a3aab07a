//! `create`: a new conversation (PROTOCOL.md §5).

use crate::{Connection, Failure};
use fastchat_wire::{
    AccountId, Block, LogId,
    chat::create::{ConversationKind, Create, Created},
};

/// Creates it, or finds a direct one that exists.
///
/// # Errors
/// `not-found` (an account), `conflict` (somebody else's id), `bad-request`.
pub async fn create(
    connection: &Connection,
    conversation: LogId,
    kind: ConversationKind,
    members: Vec<AccountId>,
) -> Result<Created, Failure> {
    let request = Create {
        conversation,
        kind,
        members,
    };
    Ok(connection.request(&request, &Block::none()).await?.header)
}
