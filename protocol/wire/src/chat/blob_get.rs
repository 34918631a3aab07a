//! `blob-get`: a range of a blob. The answer's block is the bytes.

use crate::{BlobId, Op, Request};
use serde::{Deserialize, Serialize};

/// A range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BlobGet {
    /// Which.
    pub blob: BlobId,
    /// From here.
    pub offset: u64,
    /// So many bytes at most.
    pub length: u64,
}

impl Request for BlobGet {
    const OP: Op = Op::BlobGet;
    type Response = BlobRange;
}

/// Block: the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BlobRange {
    /// Of the whole blob.
    pub size: u64,
}
