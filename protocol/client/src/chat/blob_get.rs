//! `blob-get`: a range of a blob.

use crate::{Awaited, Connection, Failure};
use bytes::Bytes;
use fastchat_wire::{BlobId, Block, chat::blob_get::BlobGet};

/// The blob's size, and at most `length` bytes from `offset`.
///
/// # Errors
/// `not-found` (none of the range is there, or not for this account).
pub async fn blob_get(connection: &Connection, blob: BlobId, offset: u64, length: u64) -> Result<(u64, Bytes), Failure> {
    let reply = start_blob_get(connection, blob, offset, length).await?.reply().await?;
    if reply.block.len() as u64 > length {
        return Err(Failure::Misbehaved("more bytes than were asked for".to_owned()));
    }
    Ok((reply.header.size, reply.block))
}

/// Asks for a range; the answer is awaited later. It may have fewer bytes.
///
/// # Errors
/// The connection has ended.
pub async fn start_blob_get(connection: &Connection, blob: BlobId, offset: u64, length: u64) -> Result<Awaited<BlobGet>, Failure> {
    connection.start(&BlobGet { blob, offset, length }, &Block::none()).await
}
