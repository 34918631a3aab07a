//! `rename-device`: another name for a device of the account's.

use super::{Call, Handled, bounds};
use crate::server::context::{Context, Identity};
use fastchat_wire::{Block, Empty, chat::rename_device::RenameDevice};

/// Names it anew; `lookup` says so from then on.
pub(crate) async fn handle(context: &Context, identity: &Identity, call: &Call) -> Handled {
    let RenameDevice { device, device_name } = call.arguments()?;
    bounds::device_name(&device_name)?;
    context.store.rename_device(identity.account, device, &device_name).await?;
    call.answer(&Empty {}, &Block::none())
}
