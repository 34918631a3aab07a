//! `keys-publish`: MLS KeyPackages of this device.

use crate::{Connection, Failure};
use bytes::Bytes;
use fastchat_wire::{Block, chat::keys_publish::KeysPublish};

/// Publishes 1 to 256 packages, or the last-resort one; says how many one-time ones are left.
///
/// # Errors
/// `quota-exceeded`, `bad-request`.
pub async fn keys_publish(connection: &Connection, packages: &[Bytes], last_resort: bool) -> Result<u64, Failure> {
    let reply = connection.request(&KeysPublish { last_resort }, &Block::pieces(packages)).await?;
    Ok(reply.header.available)
}
