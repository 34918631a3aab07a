//! `mark`: delivered and read watermarks.

use super::{Call, Handled, Refusal};
use crate::server::{Server, context::Identity, news::News};
use fastchat_wire::{
    Block, Empty,
    chat::mark::{Mark, MarkEvent},
};

/// Stores them, and tells the others where they moved.
pub(crate) async fn handle(server: &Server, identity: &Identity, call: &Call) -> Handled {
    let arguments: Mark = call.arguments()?;
    if arguments.delivered.is_none() && arguments.read.is_none() {
        return Err(Refusal::bad_request("give delivered, read or both"));
    }
    let moved = server
        .context
        .store
        .mark(arguments.conversation, identity.account, arguments.delivered, arguments.read)
        .await?;
    if moved.delivered.is_some() || moved.read.is_some() {
        let mark = MarkEvent {
            conversation: arguments.conversation,
            account: identity.account,
            delivered: moved.delivered,
            read: moved.read,
        };
        server.context.announcer.announce(News::Mark(mark)).await;
    }
    call.answer(&Empty {}, &Block::none())
}
