//! `trim`: forgets the beginning of the device's own inbox.

use super::{Call, Handled};
use crate::server::{Server, context::Identity};
use fastchat_wire::{Block, Empty, chat::trim::Trim};

/// Forgets entries.
pub(crate) async fn handle(server: &Server, identity: &Identity, call: &Call) -> Handled {
    let arguments: Trim = call.arguments()?;
    server.context.store.trim(arguments.log, identity.device, arguments.through).await?;
    call.answer(&Empty {}, &Block::none())
}
