//! `remove-device`: ends a device of the own account.

use crate::{Connection, Failure};
use fastchat_wire::{Block, DeviceId, chat::remove_device::RemoveDevice};

/// Ends it and its sessions, at once.
///
/// # Errors
/// `not-found`.
pub async fn remove_device(connection: &Connection, device: DeviceId) -> Result<(), Failure> {
    connection.request(&RemoveDevice { device }, &Block::none()).await.map(drop)
}
