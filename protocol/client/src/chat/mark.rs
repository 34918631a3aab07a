//! `mark`: the own watermarks.

use crate::{Connection, Failure};
use fastchat_wire::{Block, LogId, chat::mark::Mark};

/// Moves the own watermarks; they never move back.
///
/// # Errors
/// `not-member`, `bad-request`.
pub async fn mark(connection: &Connection, conversation: LogId, delivered: Option<u64>, read: Option<u64>) -> Result<(), Failure> {
    let request = Mark {
        conversation,
        delivered,
        read,
    };
    connection.request(&request, &Block::none()).await.map(drop)
}
