//! `blob-put`: the next bytes of a blob.

use crate::{Connection, Failure, connection::Awaited};
use bytes::Bytes;
use fastchat_wire::{BlobId, Block, chat::blob_put::BlobPut};

/// Begins to put the bytes that belong at `offset`: the blob's current one, or the end of what is on its way.
///
/// # Errors
/// `conflict` (another offset: ask with `blob-create`), `forbidden`, `quota-exceeded`.
pub async fn start_blob_put(connection: &Connection, blob: BlobId, offset: u64, bytes: Bytes) -> Result<Awaited<BlobPut>, Failure> {
    connection.start(&BlobPut { blob, offset }, &Block::binary(bytes)).await
}
