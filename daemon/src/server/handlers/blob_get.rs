//! `blob-get`: a range of a blob, for the members of its conversation.

use super::{Call, Handled, Refusal};
use crate::{
    server::context::{Context, Identity},
    store::{Denied, blobs::Blob},
};
use fastchat_wire::{
    Block,
    chat::blob_get::{BlobGet, BlobRange},
    limits::BLOB_CHUNK_BYTES_MAX,
};

/// Reads the range, or as much of it as there is and one answer carries: the next range is asked for when there is
/// room for it, so that a slow reader costs no more than what it has asked for.
pub(crate) async fn handle(context: &Context, identity: &Identity, call: &Call) -> Handled {
    let BlobGet { blob: id, offset, length } = call.arguments()?;
    let blob = context.store.blob(id, identity.account).await?;
    let length = clip(&blob, offset, length)?;
    let chunks = context.store.blob_chunks(id, offset, length).await?;
    let bytes = context
        .blobs
        .objects
        .get(blob.key, &chunks, offset, length)
        .await
        .map_err(|e| Refusal::objects(&e))?;
    context.blobs.measures.bytes_out.inc_by(length);
    call.answer(&BlobRange { size: blob.size }, &Block::binary(bytes))
}

/// How many bytes the answer has. Pure.
fn clip(blob: &Blob, offset: u64, length: u64) -> Result<u64, Refusal> {
    if length == 0 {
        return Err(Refusal::bad_request("length is at least 1"));
    }
    if offset >= blob.size {
        return Err(Refusal::bad_request(format!(
            "the blob has {} bytes: offset is below that",
            blob.size
        )));
    }
    if offset >= blob.offset {
        return Err(Denied::NotFound("these bytes have not been put yet").into());
    }
    Ok(length.min(BLOB_CHUNK_BYTES_MAX as u64).min(blob.offset - offset))
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
        size: 10 << 20,
        offset: 6 << 20,
    };

    #[test]
    fn an_answer_has_what_is_there_and_fits_a_block() {
        assert_eq!(clip(&BLOB, 0, 5).unwrap(), 5);
        assert_eq!(clip(&BLOB, 0, u64::MAX).unwrap(), BLOB_CHUNK_BYTES_MAX as u64);
        assert_eq!(clip(&BLOB, BLOB.offset - 1, u64::MAX).unwrap(), 1);
    }

    #[test]
    fn ranges_that_hold_nothing_are_refused() {
        for (offset, length, code) in [
            (0, 0, Code::BadRequest),
            (BLOB.size, 1, Code::BadRequest),
            (u64::MAX, u64::MAX, Code::BadRequest),
            (BLOB.offset, 1, Code::NotFound),
        ] {
            assert_eq!(clip(&BLOB, offset, length).unwrap_err().error.code, code, "{offset} {length}");
        }
    }
}
