//! `trim`: forgets the beginning of the device's own inbox.

use crate::{Connection, Failure};
use fastchat_wire::{Block, LogId, chat::trim::Trim};

/// Forgets everything up to and with `through`.
///
/// # Errors
/// `forbidden` (not the own inbox), `bad-request`.
pub async fn trim(connection: &Connection, log: LogId, through: u64) -> Result<(), Failure> {
    connection.request(&Trim { log, through }, &Block::none()).await.map(drop)
}
