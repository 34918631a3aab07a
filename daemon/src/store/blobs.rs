//! Blobs' metadata. Their bytes are objects, one for each chunk.

use super::{Denied, Result, values};
use async_trait::async_trait;
use fastchat_schema::Columns;
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
    /// id that stands for something else, `quota-exceeded` over the day's bytes
    /// (what was announced in the 24 h before `at`).
    async fn blob_create(&self, new: NewBlob) -> Result<Blob>;

    /// A blob of a conversation that the account is a member of; else `not-found`.
    async fn blob(&self, blob: BlobId, account: AccountId) -> Result<Blob>;

    /// Counts a chunk whose bytes are on stable storage; answers the new state.
    /// Denied: `not-found` for a blob that the account did not announce,
    /// `conflict` where the blob isn't at `chunk.offset` any more,
    /// `bad-request` beyond its size, `quota-exceeded` over `limits::BLOB_CHUNKS_MAX`.
    async fn blob_advance(&self, blob: BlobId, account: AccountId, chunk: Chunk) -> Result<Blob>;

    /// The chunks that overlap a range, in order. No membership is checked.
    async fn blob_chunks(&self, blob: BlobId, offset: u64, length: u64) -> Result<Vec<Chunk>>;
}

/// The span of the quota.
pub(in crate::store) const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

pub(in crate::store) const NO_BLOB: &str = "no such blob";

/// A blob of that id exists: is it the one that was announced?
pub(in crate::store) fn announced(existing: Blob, new: &NewBlob) -> Result<Blob> {
    let same = (existing.conversation, existing.account, existing.size) == (new.conversation, new.account, new.size);
    if same {
        Ok(existing)
    } else {
        Err(Denied::Conflict("that id stands for another blob: choose a new one").into())
    }
}

/// Where the blob goes on after a chunk.
pub(in crate::store) fn advanced(found: &Blob, account: AccountId, chunk: Chunk) -> Result<u64> {
    if found.account != account {
        return Err(Denied::NotFound(NO_BLOB).into());
    }
    if found.offset != chunk.offset {
        return Err(Denied::Conflict("the blob goes on elsewhere: blob-create again says where").into());
    }
    let offset = chunk.offset.saturating_add(chunk.length);
    if chunk.length == 0 || offset > found.size {
        return Err(Denied::BadRequest("the chunk is empty, or the blob was announced with fewer bytes").into());
    }
    Ok(offset)
}

/// A blob's row.
pub(in crate::store) fn decoded(row: &impl Columns) -> Result<Blob> {
    Ok(Blob {
        conversation: values::id(row, "log_id")?,
        account: values::id(row, "account_id")?,
        size: values::number(row, "size")?,
        offset: values::number(row, "offset")?,
    })
}

/// A chunk's row.
pub(in crate::store) fn chunk(row: &impl Columns) -> Result<Chunk> {
    Ok(Chunk {
        offset: values::number(row, "offset")?,
        length: values::number(row, "length")?,
    })
}
