//! Pieces of a file to a blob: one after the other, since requests of one connection may end in another order than they
//! begin, and each piece must come where the blob ends so far.

use super::{
    TransferError, file,
    patience::{Patience, Setback},
};
use crate::{chat, connection::Connection, error::Failure};
use fastchat_wire::{BlobId, Code, LogId, chat::blob_put::BlobStored, limits::BLOB_CHUNK_BYTES_MAX};
use std::{fs::File, sync::Arc};

/// An upload. What is done of it, the server knows.
pub(super) struct Upload {
    conversation: LogId,
    blob: BlobId,
    size: u64,
    file: Arc<File>,
}

impl Upload {
    pub(super) async fn new(conversation: LogId, blob: BlobId, sealed: File) -> Result<Self, TransferError> {
        let file = Arc::new(sealed);
        Ok(Self {
            conversation,
            blob,
            size: file::length(&file).await?,
            file,
        })
    }

    /// In bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// All that is missing, over one connection.
    pub(super) async fn over(&self, connection: &Connection, patience: &mut Patience<'_>) -> Result<(), Setback> {
        let created = chat::blob_create(connection, self.blob, self.size, self.conversation).await?;
        let chunk = created.chunk.min(BLOB_CHUNK_BYTES_MAX as u64);
        let mut offset = created.offset;
        patience.reached(offset);
        while offset < self.size {
            let end = self.size.min(offset + chunk);
            offset = self.put(connection, offset, end).await?;
            patience.reached(offset);
        }
        Ok(())
    }

    /// Puts one piece; where the blob ends now.
    async fn put(&self, connection: &Connection, offset: u64, end: u64) -> Result<u64, Setback> {
        let length = usize::try_from(end - offset).map_err(|_| Failure::Misbehaved("a chunk is too large".to_owned()))?;
        let bytes = file::read(&self.file, offset, length).await?;
        let stored = chat::blob_put(connection, self.blob, offset, bytes).await.map_err(|failure| {
            // An earlier try got further than its answer: the server says where it is.
            if failure.code() == Some(Code::Conflict) {
                Setback::Retry(failure)
            } else {
                failure.into()
            }
        })?;
        self.check(&stored, end)?;
        Ok(stored.offset)
    }

    /// A piece that was put before is answered with the present state, which may be further on.
    fn check(&self, stored: &BlobStored, end: u64) -> Result<(), Failure> {
        let is_in_range = (end..=self.size).contains(&stored.offset);
        if is_in_range && stored.complete == (stored.offset == self.size) {
            Ok(())
        } else {
            Err(Failure::Misbehaved(
                "what it says of a blob's bytes contradicts what was put".to_owned(),
            ))
        }
    }
}
