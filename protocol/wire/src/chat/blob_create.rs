//! `blob-create`: announces a blob (PROTOCOL.md §7).

use crate::{BlobId, LogId, Op, Request};
use serde::{Deserialize, Serialize};

/// Announces it, or asks where to continue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BlobCreate {
    /// Chosen by the sender.
    pub blob: BlobId,
    /// In bytes.
    pub size: u64,
    /// Whose members may read it.
    pub conversation: LogId,
}

impl Request for BlobCreate {
    const OP: Op = Op::BlobCreate;
    type Response = BlobCreated;
}

/// Where to continue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BlobCreated {
    /// Bytes on stable storage.
    pub offset: u64,
    /// Largest block that the server takes.
    pub chunk: u64,
}
