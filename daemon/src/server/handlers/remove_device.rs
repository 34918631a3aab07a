//! `remove-device`: a device of the account's goes, with its sessions, key packages and inbox.

use super::{Call, Handled, device_news};
use crate::server::{
    context::{Context, Identity},
    news::News,
};
use fastchat_wire::{
    Block, Empty,
    chat::remove_device::{DeviceChange, RemoveDevice},
};

/// Removes it in the store, then tells its connections and everybody concerned.
pub(crate) async fn handle(context: &Context, identity: &Identity, call: &Call) -> Handled {
    let RemoveDevice { device } = call.arguments()?;
    context.store.remove_device(identity.account, device).await?;
    context.announcer.announce(News::DeviceEnded(device)).await;
    device_news::tell(context, identity.account, device, DeviceChange::Removed).await;
    call.answer(&Empty {}, &Block::none())
}
