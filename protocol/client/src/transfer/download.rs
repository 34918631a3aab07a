//! Ranges of a blob to a file: the next one is under way while one is written.

use super::{
    TransferError, file,
    patience::{Patience, Setback},
};
use crate::{
    chat,
    connection::{Awaited, Connection},
    error::Failure,
    limits::{RANGE_BYTES, RANGES_MAX},
};
use bytes::Bytes;
use fastchat_wire::{BlobId, chat::blob_get::BlobGet};
use std::{collections::VecDeque, fs::File, sync::Arc};

/// A download.
pub(super) struct Download {
    blob: BlobId,
    size: u64,
    file: Arc<File>,
    /// All bytes before are in the file.
    done: u64,
}

/// A range that was asked for.
struct Asked {
    length: u64,
    answer: Awaited<BlobGet>,
}

impl Download {
    pub(super) fn new(blob: BlobId, size: u64, target: File, done: u64) -> Self {
        Self {
            blob,
            size,
            file: Arc::new(target),
            done,
        }
    }

    /// All that is missing, over one connection.
    pub(super) async fn over(&mut self, connection: &Connection, patience: &mut Patience<'_>) -> Result<(), Setback> {
        let mut asked = VecDeque::with_capacity(RANGES_MAX);
        let mut next = self.done;
        loop {
            while asked.len() < RANGES_MAX && next < self.size {
                let length = RANGE_BYTES.min(self.size - next);
                let answer = chat::start_blob_get(connection, self.blob, next, length).await?;
                asked.push_back(Asked { length, answer });
                next += length;
            }
            // The first one that was asked for begins where the file ends.
            let Some(Asked { length, answer }) = asked.pop_front() else {
                return Ok(());
            };
            let bytes = self.checked(answer, length).await?;
            let received = bytes.len() as u64;
            file::write(&self.file, self.done, bytes).await?;
            self.done += received;
            patience.reached(self.done);
            if received < length {
                // The rest of the range comes before the one that is under way.
                asked.clear();
                next = self.done;
            }
        }
    }

    /// The bytes of a range: at least one of them, and of a blob of the right size.
    async fn checked(&self, answer: Awaited<BlobGet>, length: u64) -> Result<Bytes, Setback> {
        let reply = answer.reply().await?;
        let (size, received) = (reply.header.size, reply.block.len() as u64);
        if size != self.size {
            return Err(Setback::End(TransferError::AnotherSize {
                found: size,
                announced: self.size,
            }));
        }
        if received == 0 || received > length {
            return Err(Failure::Misbehaved(format!("{received} bytes where {length} were asked for")).into());
        }
        Ok(reply.block)
    }
}
