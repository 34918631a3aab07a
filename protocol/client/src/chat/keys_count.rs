//! `keys-count`: how many one-time packages this device has left.

use crate::{Connection, Failure};
use fastchat_wire::{Block, chat::keys_count::KeysCount};

/// Counts them.
///
/// # Errors
/// `unavailable`.
pub async fn keys_count(connection: &Connection) -> Result<u64, Failure> {
    Ok(connection.request(&KeysCount {}, &Block::none()).await?.header.available)
}
