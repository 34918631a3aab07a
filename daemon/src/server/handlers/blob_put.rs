//! `blob-put`: the next bytes of a blob. First the bytes, then the count: what
//! is acknowledged is on stable storage.

use super::{Call, Handled, Refusal};
use crate::{
    server::context::{Context, Identity, now_ms},
    store::{
        Denied, StoreError,
        blobs::{self, Blob, Chunk},
    },
};
use fastchat_wire::{
    Block,
    chat::blob_put::{BlobPut, BlobStored},
    limits::BLOB_CHUNK_BYTES_MAX,
};

/// What a `blob-put` is, for a blob's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    /// The next bytes.
    Next(Chunk),
    /// Bytes that were acknowledged before: sent again after a lost answer.
    Again,
}

/// Writes the bytes, then counts them.
pub(crate) async fn handle(context: &Context, identity: &Identity, call: &Call) -> Handled {
    let BlobPut { blob: id, offset } = call.arguments()?;
    let _held = context.blobs.hold(call.frame.block.len());
    let mut blob = context.store.blob(id, identity.account).await?;
    if blob.account != identity.account {
        return Err(Denied::Forbidden("only the account that announced a blob puts its bytes").into());
    }
    if let Put::Next(chunk) = place(&blob, offset, call.frame.block.len())? {
        let put = blobs::Put {
            key: blob.key,
            chunk,
            at: now_ms(),
        };
        context
            .blobs
            .objects
            .put(put.key, chunk, call.frame.block.clone())
            .await
            .map_err(|e| Refusal::objects(&e))?;
        blob = match context.store.blob_advance(id, identity.account, put).await {
            // Somebody was faster: perhaps with these very bytes, sent on two connections.
            Err(StoreError::Denied(conflict @ Denied::Conflict(_))) => {
                let now = context.store.blob(id, identity.account).await?;
                match place(&now, offset, call.frame.block.len())? {
                    Put::Again => now,
                    Put::Next(_) => return Err(conflict.into()),
                }
            }
            advanced => advanced?,
        };
        context.blobs.measures.bytes_in.inc_by(chunk.length);
    }
    let stored = BlobStored {
        offset: blob.offset,
        complete: blob.offset == blob.size,
    };
    call.answer(&stored, &Block::none())
}

/// Where the bytes belong. Pure.
fn place(blob: &Blob, offset: u64, bytes: usize) -> Result<Put, Refusal> {
    if bytes == 0 || bytes > BLOB_CHUNK_BYTES_MAX {
        return Err(Refusal::bad_request(format!(
            "blob-put takes a block of 1 to {BLOB_CHUNK_BYTES_MAX} bytes, not {bytes}"
        )));
    }
    let length = bytes as u64;
    let Some(end) = offset.checked_add(length).filter(|end| *end <= blob.size) else {
        return Err(Refusal::bad_request(format!("the blob was announced with {} bytes", blob.size)));
    };
    if offset == blob.offset {
        Ok(Put::Next(Chunk { offset, length }))
    } else if end <= blob.offset {
        Ok(Put::Again)
    } else {
        Err(Denied::Conflict("the blob goes on elsewhere: blob-create again says where").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::blobs::ObjectKey;
    use fastchat_wire::{AccountId, Code, LogId};

    const BLOB: Blob = Blob {
        key: ObjectKey([3; 16]),
        conversation: LogId([1; 16]),
        account: AccountId([2; 16]),
        size: 10,
        offset: 4,
    };

    #[test]
    fn bytes_go_where_the_blob_ends_so_far() {
        assert_eq!(place(&BLOB, 4, 3).unwrap(), Put::Next(Chunk { offset: 4, length: 3 }));
        assert_eq!(place(&BLOB, 4, 6).unwrap(), Put::Next(Chunk { offset: 4, length: 6 }));
    }

    #[test]
    fn acknowledged_bytes_may_come_again() {
        for (offset, bytes) in [(0, 4), (0, 1), (3, 1)] {
            assert_eq!(place(&BLOB, offset, bytes).unwrap(), Put::Again);
        }
    }

    #[test]
    fn a_hole_and_an_overlap_are_conflicts() {
        for (offset, bytes) in [(5, 1), (3, 2), (0, 5)] {
            assert_eq!(
                place(&BLOB, offset, bytes).unwrap_err().error.code,
                Code::Conflict,
                "{offset} {bytes}"
            );
        }
    }

    #[test]
    fn bytes_beyond_the_announced_size_and_blocks_out_of_bounds_are_refused() {
        for (offset, bytes) in [(4, 7), (11, 1), (u64::MAX, 1), (4, 0), (4, BLOB_CHUNK_BYTES_MAX + 1)] {
            assert_eq!(
                place(&BLOB, offset, bytes).unwrap_err().error.code,
                Code::BadRequest,
                "{offset} {bytes}"
            );
        }
    }
}
