//! `blob-create`: announces a blob, or finds where to continue.

use super::{Call, Handled, Refusal};
use crate::{
    server::{
        blobs::Blobs,
        context::{Context, Identity, now_ms},
    },
    store::blobs::{NewBlob, Quota},
};
use fastchat_wire::{
    Block, Code,
    chat::blob_create::{BlobCreate, BlobCreated},
    limits::BLOB_CHUNK_BYTES_MAX,
};

/// Announces it in the store.
pub(crate) async fn handle(context: &Context, identity: &Identity, call: &Call) -> Handled {
    let BlobCreate { blob, size, conversation } = call.arguments()?;
    if size == 0 {
        return Err(Refusal::bad_request("a blob has at least 1 byte"));
    }
    let policy = context.blobs.policy();
    if size > policy.blob_bytes() {
        let message = format!("it has {size} bytes as it is stored, and the fleet takes {}", policy.blob_bytes());
        return Err(Refusal::new(Code::QuotaExceeded, message));
    }
    let new = NewBlob {
        blob,
        key: Blobs::new_key(),
        conversation,
        account: identity.account,
        size,
        at: now_ms(),
        quota: Quota {
            bytes_per_day_max: policy.account_bytes_per_day(),
            bytes_max: policy.account_bytes(),
            uploads_max: policy.account_uploads(),
        },
    };
    let blob = context.store.blob_create(new).await?;
    let created = BlobCreated {
        offset: blob.offset,
        chunk: BLOB_CHUNK_BYTES_MAX as u64,
    };
    call.answer(&created, &Block::none())
}
