//! `group-info`: the GroupInfo that came with the last commit.

use crate::{Connection, Failure};
use bytes::Bytes;
use fastchat_wire::{Block, LogId, chat::group_info::GroupInfo};

/// The conversation's epoch and its MLS GroupInfo.
///
/// # Errors
/// `not-member`, `not-found` (no commit yet).
pub async fn group_info(connection: &Connection, conversation: LogId) -> Result<(u64, Bytes), Failure> {
    let reply = connection.request(&GroupInfo { conversation }, &Block::none()).await?;
    Ok((reply.header.epoch, reply.block))
}
