//! `members`: a conversation's members, by pages.

use super::{Call, Handled, page_limit};
use crate::server::{Server, context::Identity};
use fastchat_wire::{
    Block,
    chat::members::{Members, MembersPage},
};

/// A page of members.
pub(crate) async fn handle(server: &Server, identity: &Identity, call: &Call) -> Handled {
    let arguments: Members = call.arguments()?;
    let limit = page_limit(arguments.limit)?;
    let page = server
        .context
        .store
        .members(arguments.conversation, identity.account, arguments.after, limit)
        .await?;
    call.answer(&MembersPage { more: page.more }, &Block::json(&page.members))
}
