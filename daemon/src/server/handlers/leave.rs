//! `leave`: the account is no member any more.

use super::{Call, Handled};
use crate::server::{
    Server,
    context::{Identity, now_ms},
};
use fastchat_wire::{Block, Empty, EntryId, chat::leave::Leave};
use uuid::Uuid;

/// Leaves.
pub(crate) async fn handle(server: &Server, identity: &Identity, call: &Call) -> Handled {
    let arguments: Leave = call.arguments()?;
    server
        .appender
        .leave(arguments.conversation, identity.actor(), EntryId::from(Uuid::now_v7()), now_ms())
        .await?;
    call.answer(&Empty {}, &Block::none())
}
