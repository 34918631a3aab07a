//! `members`: a conversation's members, by pages.

use crate::{Connection, Failure};
use fastchat_wire::{
    AccountId, Block, LogId,
    chat::members::{Member, Members},
    limits::PAGE_MAX,
};

/// One page, and whether there are further ones; `after` is the last member of the page before.
///
/// # Errors
/// `not-member`.
pub async fn members(connection: &Connection, conversation: LogId, after: Option<AccountId>) -> Result<(Vec<Member>, bool), Failure> {
    let request = Members {
        conversation,
        after,
        limit: PAGE_MAX,
    };
    let reply = connection.request(&request, &Block::none()).await?;
    let page = serde_json::from_slice(&reply.block).map_err(|error| Failure::Misbehaved(format!("members: {error}")))?;
    Ok((page, reply.header.more))
}
