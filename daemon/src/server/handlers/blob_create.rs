//! `blob-create`: announces a blob, or finds where to continue.

use super::{Call, Handled, Refusal};
use crate::{
    server::context::{Context, Identity, now_ms},
    store::{Denied, blobs::NewBlob},
};
use fastchat_wire::{
    Block,
    chat::blob_create::{BlobCreate, BlobCreated},
    limits::{BLOB_BYTES_MAX, BLOB_BYTES_PER_DAY_MAX, BLOB_CHUNK_BYTES_MAX},
};

/// Announces it in the store.
pub(crate) async fn handle(context: &Context, identity: &Identity, call: &Call) -> Handled {
    let BlobCreate { blob, size, conversation } = call.arguments()?;
    if size == 0 {
        return Err(Refusal::bad_request("a blob has at least 1 byte"));
    }
    if size > BLOB_BYTES_MAX {
        return Err(Denied::QuotaExceeded("a blob has at most 64 MiB").into());
    }
    let new = NewBlob {
        blob,
        conversation,
        account: identity.account,
        size,
        at: now_ms(),
        bytes_per_day_max: BLOB_BYTES_PER_DAY_MAX,
    };
    let blob = context.store.blob_create(new).await?;
    let created = BlobCreated {
        offset: blob.offset,
        chunk: BLOB_CHUNK_BYTES_MAX as u64,
    };
    call.answer(&created, &Block::none())
}
