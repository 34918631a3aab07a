//! `blob-create`: announces a blob, or asks where to continue (PROTOCOL.md §7).

use crate::{Connection, Failure};
use fastchat_wire::{
    BlobId, Block, LogId,
    chat::blob_create::{BlobCreate, BlobCreated},
};

/// Announces `size` bytes for the members of a conversation.
///
/// # Errors
/// `quota-exceeded`, `not-member`, `conflict`.
pub async fn blob_create(connection: &Connection, blob: BlobId, size: u64, conversation: LogId) -> Result<BlobCreated, Failure> {
    let request = BlobCreate { blob, size, conversation };
    let created = connection.request(&request, &Block::none()).await?.header;
    if created.offset > size || created.chunk == 0 {
        return Err(Failure::Misbehaved("a blob's offset or chunk is out of range".to_owned()));
    }
    Ok(created)
}
