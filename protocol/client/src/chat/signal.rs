//! `signal`: told to who is online, not stored (typing and the like).

use crate::{Connection, Failure};
use bytes::Bytes;
use fastchat_wire::{Block, LogId, chat::signal::Signal};

/// Tells the members that are online; the block has at most 4 KiB.
///
/// # Errors
/// `not-member`, `epoch-conflict`; `bad-request` where the block is larger.
pub async fn signal(connection: &Connection, conversation: LogId, epoch: u64, block: Bytes) -> Result<(), Failure> {
    let request = Signal { conversation, epoch };
    connection.request(&request, &Block::binary(block)).await.map(drop)
}
