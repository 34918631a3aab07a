//! Blobs' metadata. Their bytes are objects, one for each chunk. How blobs end: [`super::sweep`].

use super::{Denied, Result, values};
use async_trait::async_trait;
use fastchat_schema::Columns;
use fastchat_wire::{AccountId, BlobId, LogId, limits::BLOB_CHUNKS_MAX};

/// What a blob's objects are called. Drawn whenever a blob is announced, and
/// never used again: objects whose key no blob has are nobody's for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ObjectKey(pub(crate) [u8; 16]);

impl TryFrom<&[u8]> for ObjectKey {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> std::result::Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

/// What one account may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    /// Bytes announced in 24 h.
    pub(crate) bytes_per_day_max: u64,
    /// Bytes that are kept, those of unfinished blobs as announced.
    pub(crate) bytes_max: u64,
    /// Unfinished blobs.
    pub(crate) uploads_max: u64,
}

/// A blob to announce.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewBlob {
    pub(crate) blob: BlobId,
    /// A new one.
    pub(crate) key: ObjectKey,
    pub(crate) conversation: LogId,
    pub(crate) account: AccountId,
    /// In bytes.
    pub(crate) size: u64,
    /// ms since the Unix epoch.
    pub(crate) at: u64,
    pub(crate) quota: Quota,
}

/// What is known of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) key: ObjectKey,
    pub(crate) conversation: LogId,
    /// Who announced it and alone may put bytes.
    pub(crate) account: AccountId,
    /// In bytes.
    pub(crate) size: u64,
    /// Bytes on stable storage.
    pub(crate) offset: u64,
}

impl Blob {
    /// One that was announced just now.
    pub(in crate::store) fn begun(new: &NewBlob) -> Self {
        Self {
            key: new.key,
            conversation: new.conversation,
            account: new.account,
            size: new.size,
            offset: 0,
        }
    }
}

/// A stored piece of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Where it begins.
    pub(crate) offset: u64,
    /// In bytes.
    pub(crate) length: u64,
}

/// A chunk whose bytes were put.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Put {
    /// Under which key.
    pub(crate) key: ObjectKey,
    pub(crate) chunk: Chunk,
    /// ms since the Unix epoch.
    pub(crate) at: u64,
}

/// Blobs' metadata.
#[async_trait]
pub(crate) trait BlobStore {
    /// Announces a blob, or finds the one that the same account announced with
    /// the same size and conversation. Denied: `not-member`, `conflict` for an
    /// id that stands for something else, `quota-exceeded`. Announced again, an
    /// unfinished blob has its whole time before it once more.
    async fn blob_create(&self, new: NewBlob) -> Result<Blob>;

    /// A blob of a conversation that the account is a member of; else `not-found`.
    async fn blob(&self, blob: BlobId, account: AccountId) -> Result<Blob>;

    /// Counts a chunk whose bytes are on stable storage; answers the new state.
    /// Denied: `not-found` for a blob that the account did not announce,
    /// `conflict` where the blob isn't at `chunk.offset` any more, or was
    /// announced anew since its bytes were put under another key,
    /// `bad-request` beyond its size, `quota-exceeded` over `limits::BLOB_CHUNKS_MAX`.
    async fn blob_advance(&self, blob: BlobId, account: AccountId, put: Put) -> Result<Blob>;

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

/// What an account has: `bytes`, `bytes_of_day` and `uploads`.
pub(in crate::store) fn within_quota(account: &impl Columns, new: &NewBlob) -> Result<()> {
    let quota = &new.quota;
    let over = |bytes: u64, max: u64| bytes.saturating_add(new.size) > max;
    if values::number(account, "uploads")? >= quota.uploads_max {
        return Err(Denied::QuotaExceeded("the account has too many files under way: finish some, or wait a day").into());
    }
    if over(values::number(account, "bytes_of_day")?, quota.bytes_per_day_max) {
        return Err(Denied::QuotaExceeded("the account has announced too many bytes of blobs today: try again tomorrow").into());
    }
    if over(values::number(account, "bytes")?, quota.bytes_max) {
        return Err(Denied::QuotaExceeded("the account keeps as many bytes of files as it may: ask the operator for more").into());
    }
    Ok(())
}

/// Where the blob goes on after a chunk; `chunks` are there already.
pub(in crate::store) fn advanced(found: &Blob, account: AccountId, put: Put, chunks: u64) -> Result<u64> {
    let Put { key, chunk, .. } = put;
    if found.account != account {
        return Err(Denied::NotFound(NO_BLOB).into());
    }
    if (found.key, found.offset) != (key, chunk.offset) {
        return Err(Denied::Conflict("the blob goes on elsewhere: blob-create again says where").into());
    }
    let offset = chunk.offset.saturating_add(chunk.length);
    if chunk.length == 0 || offset > found.size {
        return Err(Denied::BadRequest("the chunk is empty, or the blob was announced with fewer bytes").into());
    }
    if chunks >= BLOB_CHUNKS_MAX as u64 {
        return Err(Denied::QuotaExceeded("the blob came in too many pieces: put larger ones").into());
    }
    Ok(offset)
}

/// A blob's row.
pub(in crate::store) fn decoded(row: &impl Columns) -> Result<Blob> {
    Ok(Blob {
        key: values::id(row, "object_key")?,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    const OWNER: AccountId = AccountId([1; 16]);
    const FOUND: Blob = Blob {
        key: ObjectKey([2; 16]),
        conversation: LogId([3; 16]),
        account: OWNER,
        size: 100,
        offset: 40,
    };

    fn put(offset: u64, length: u64) -> Put {
        Put {
            key: FOUND.key,
            chunk: Chunk { offset, length },
            at: 1,
        }
    }

    fn denied(account: AccountId, put: Put, chunks: u64) -> Denied {
        match advanced(&FOUND, account, put, chunks) {
            Err(StoreError::Denied(denied)) => denied,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_blob_goes_on_where_it_is_by_its_owner_within_its_size_and_in_so_many_pieces() {
        let most = BLOB_CHUNKS_MAX as u64;
        assert_eq!(advanced(&FOUND, OWNER, put(40, 60), most - 1).unwrap(), 100);
        assert!(matches!(denied(OWNER, put(40, 60), most), Denied::QuotaExceeded(_)));
        assert!(matches!(denied(OWNER, put(40, 61), 1), Denied::BadRequest(_)));
        assert!(matches!(denied(OWNER, put(40, 0), 1), Denied::BadRequest(_)));
        assert!(matches!(denied(OWNER, put(40, u64::MAX), 1), Denied::BadRequest(_)));
        assert!(matches!(denied(OWNER, put(39, 1), 1), Denied::Conflict(_)));
        assert!(matches!(denied(AccountId([9; 16]), put(40, 1), 1), Denied::NotFound(_)));
        let other_key = Put {
            key: ObjectKey([9; 16]),
            ..put(40, 1)
        };
        assert!(matches!(denied(OWNER, other_key, 1), Denied::Conflict(_)));
    }
}
