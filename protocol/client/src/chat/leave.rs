//! `leave`: the account is no member any more.

use crate::{Connection, Failure};
use fastchat_wire::{Block, LogId, chat::leave::Leave};

/// Leaves; nothing after it can be read.
///
/// # Errors
/// `not-member`.
pub async fn leave(connection: &Connection, conversation: LogId) -> Result<(), Failure> {
    connection.request(&Leave { conversation }, &Block::none()).await.map(drop)
}
