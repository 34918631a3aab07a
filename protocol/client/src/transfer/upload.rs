//! Pieces of a file to a blob, a few on their way at a time: a server takes those of one blob and connection in the order
//! in which they were sent, so that each comes where the one before has ended.

use super::{
    TransferError, file,
    patience::{Patience, Setback},
};
use crate::{
    chat,
    connection::{Awaited, Connection},
    error::Failure,
    limits::PIECES_MAX,
};
use fastchat_wire::{
    BlobId, Code, LogId,
    chat::blob_put::{BlobPut, BlobStored},
    limits::BLOB_CHUNK_BYTES_MAX,
};
use std::{collections::VecDeque, fs::File, sync::Arc};

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
        let mut next = created.offset;
        patience.reached(next);
        let mut pieces = VecDeque::with_capacity(PIECES_MAX);
        loop {
            while pieces.len() < PIECES_MAX && next < self.size {
                let end = self.size.min(next + chunk);
                pieces.push_back((end, self.put(connection, next, end).await?));
                next = end;
            }
            let Some((end, answer)) = pieces.pop_front() else {
                return Ok(());
            };
            let stored = answer.reply().await.map_err(|failure| {
                // An earlier try got further than its answer: the server says where it is.
                if failure.code() == Some(Code::Conflict) {
                    Setback::Retry(failure)
                } else {
                    failure.into()
                }
            })?;
            self.check(&stored.header, end)?;
            patience.reached(stored.header.offset);
        }
    }

    /// Sends one piece.
    async fn put(&self, connection: &Connection, offset: u64, end: u64) -> Result<Awaited<BlobPut>, Setback> {
        let length = usize::try_from(end - offset).map_err(|_| Failure::Misbehaved("a chunk is too large".to_owned()))?;
        let bytes = file::read(&self.file, offset, length).await?;
        Ok(chat::start_blob_put(connection, self.blob, offset, bytes).await?)
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
