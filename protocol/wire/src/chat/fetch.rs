//! `fetch`: a log's entries after a cursor, as `entry` events, then the response.

use crate::{LogId, Op, Request};
use serde::{Deserialize, Serialize};

/// Entries after a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fetch {
    /// Which log.
    pub log: LogId,
    /// The cursor: the last number that was processed; 0 at first.
    pub after: u64,
    /// 1 to [`crate::limits::PAGE_MAX`]; default [`crate::limits::FETCH_LIMIT_DEFAULT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl Request for Fetch {
    const OP: Op = Op::Fetch;
    type Response = Fetched;
}

/// End of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fetched {
    /// The first number that the reader may have.
    pub first_seq: u64,
    /// The last one.
    pub last_seq: u64,
    /// There are further entries.
    pub more: bool,
}
