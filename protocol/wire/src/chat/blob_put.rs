//! `blob-put`: the next bytes of a blob.

use crate::{BlobId, Op, Request};
use serde::{Deserialize, Serialize};

/// Block: the next bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BlobPut {
    /// Which.
    pub blob: BlobId,
    /// Where they belong: the blob's current offset.
    pub offset: u64,
}

impl Request for BlobPut {
    const OP: Op = Op::BlobPut;
    type Response = BlobStored;
}

/// On stable storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BlobStored {
    /// Where to continue.
    pub offset: u64,
    /// All bytes are there.
    pub complete: bool,
}
