//! `rename-device`: another name for a device of the own account.

use crate::{Connection, Failure};
use fastchat_wire::{Block, DeviceId, chat::rename_device::RenameDevice};

/// Names it anew.
///
/// # Errors
/// `not-found`, `bad-request`.
pub async fn rename_device(connection: &Connection, device: DeviceId, name: &str) -> Result<(), Failure> {
    let request = RenameDevice {
        device,
        device_name: name.to_owned(),
    };
    connection.request(&request, &Block::none()).await.map(drop)
}
