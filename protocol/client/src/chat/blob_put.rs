//! `blob-put`: the next bytes of a blob.

use crate::{Connection, Failure};
use bytes::Bytes;
use fastchat_wire::{
    BlobId, Block,
    chat::blob_put::{BlobPut, BlobStored},
};

/// Puts the bytes that belong at `offset`: the blob's current one.
///
/// # Errors
/// `conflict` (another offset: ask with `blob-create`), `forbidden`, `quota-exceeded`.
pub async fn blob_put(connection: &Connection, blob: BlobId, offset: u64, bytes: Bytes) -> Result<BlobStored, Failure> {
    Ok(connection.request(&BlobPut { blob, offset }, &Block::binary(bytes)).await?.header)
}
