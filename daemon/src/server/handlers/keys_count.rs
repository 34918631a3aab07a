//! `keys-count`: how many one-time key packages this device has left.

use super::{Call, Handled};
use crate::server::context::{Context, Identity};
use fastchat_wire::{
    Block,
    chat::{keys_count::KeysCount, keys_publish::KeysAvailable},
};

/// Counts them.
pub(crate) async fn handle(context: &Context, identity: &Identity, call: &Call) -> Handled {
    let KeysCount {} = call.arguments()?;
    let available = context.store.keys_count(identity.device).await?;
    call.answer(&KeysAvailable { available }, &Block::none())
}
