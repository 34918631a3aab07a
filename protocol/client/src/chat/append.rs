//! `append`: one entry at the end of a log.
//!
//! For entries that must survive a lost connection, in order: the [`crate::Outbox`].

use crate::{Awaited, Connection, Failure};
use bytes::Bytes;
use fastchat_wire::{
    Block,
    chat::append::{Append, Appended},
};

/// Appends and waits. After [`Failure::Lost`] or [`Failure::TimedOut`] the
/// outcome is unknown: append the same entry again.
///
/// # Errors
/// `not-member`, `epoch-conflict`, `forbidden`, `bad-request`, or a code after
/// which the same entry may be sent again.
pub async fn append(connection: &Connection, request: &Append, block: Bytes) -> Result<Appended, Failure> {
    Ok(start_append(connection, request, block).await?.reply().await?.header)
}

/// Sends it; the answer is awaited later. What is started first is appended first.
///
/// # Errors
/// The connection has ended, or the request is too large.
pub async fn start_append(connection: &Connection, request: &Append, block: Bytes) -> Result<Awaited<Append>, Failure> {
    connection.start(request, &Block::binary(block)).await
}
