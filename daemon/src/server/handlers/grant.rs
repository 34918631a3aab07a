//! `grant`: another role.

use super::{Call, Handled};
use crate::server::{
    Server,
    context::{Identity, now_ms},
};
use fastchat_wire::{Block, Empty, EntryId, chat::grant::Grant};
use uuid::Uuid;

/// Grants it.
pub(crate) async fn handle(server: &Server, identity: &Identity, call: &Call) -> Handled {
    let arguments: Grant = call.arguments()?;
    let entry = EntryId::from(Uuid::now_v7());
    server
        .appender
        .grant(
            arguments.conversation,
            identity.actor(),
            arguments.account,
            arguments.role,
            entry,
            now_ms(),
        )
        .await?;
    call.answer(&Empty {}, &Block::none())
}
