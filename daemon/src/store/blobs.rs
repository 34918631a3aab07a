//! Blobs' metadata. Their bytes are objects, one for each chunk.

use super::Result;
use async_trait::async_trait;
use fastchat_wire::{AccountId, BlobId, LogId};

/// A blob to announce.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewBlob {
    pub(crate) blob: BlobId,
    pub(crate) conversation: LogId,
    pub(crate) account: AccountId,
    /// In bytes.
    pub(crate) size: u64,
    /// ms since the Unix epoch.
    pub(crate) at: u64,
    /// Bytes that the account may announce in 24 h.
    pub(crate) bytes_per_day_max: u64,
}

/// What is known of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) conversation: LogId,
    /// Who announced it and alone may put bytes.
    pub(crate) account: AccountId,
    /// In bytes.
    pub(crate) size: u64,
    /// Bytes on stable storage.
    pub(crate) offset: u64,
}

/// A stored piece of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Where it begins.
    pub(crate) offset: u64,
    /// In bytes.
    pub(crate) length: u64,
}

/// Blobs' metadata.
#[async_trait]
pub(crate) trait BlobStore {
    /// Announces a blob, or finds the one that the same account announced with
    /// the same size and conversation. Denied: `not-member`, `conflict` for an
    /// id that stands for something else, `quota-exceeded` over the day's bytes.
    async fn blob_create(&self, new: NewBlob) -> Result<Blob>;

    /// A blob of a conversation that the account is a member of; else `not-found`.
    async fn blob(&self, blob: BlobId, account: AccountId) -> Result<Blob>;

    /// Counts a chunk whose bytes are on stable storage; answers the new state.
    /// Denied: `conflict` where the blob isn't at `chunk.offset` any more.
    async fn blob_advance(&self, blob: BlobId, account: AccountId, chunk: Chunk) -> Result<Blob>;

    /// The chunks that overlap a range, in order.
    async fn blob_chunks(&self, blob: BlobId, offset: u64, length: u64) -> Result<Vec<Chunk>>;
}
