//! `append`: one entry at the end of a log. The block is the entry's.

use crate::{EntryId, LogId, Op, Request};
use serde::{Deserialize, Serialize};

/// One entry; block: opaque.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Append {
    /// A conversation, or the account's archive.
    pub log: LogId,
    /// Chosen by the sender; the same one again is the same append.
    pub entry: EntryId,
    /// 1 to [`crate::limits::KIND_BYTES_MAX`] of `a-z-`.
    pub kind: String,
    /// Refused unless current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
}

impl Request for Append {
    const OP: Op = Op::Append;
    type Response = Appended;
}

/// Durably committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Appended {
    /// The entry's number.
    pub seq: u64,
    /// When, by the server's clock: ms since the Unix epoch.
    pub at: u64,
    /// It stood there already.
    pub duplicate: bool,
}
