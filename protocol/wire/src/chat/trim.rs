//! `trim`: forgets the beginning of the device's own inbox.

use crate::{Empty, LogId, Op, Request};
use serde::{Deserialize, Serialize};

/// Forgets entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Trim {
    /// The own inbox.
    pub log: LogId,
    /// The last number to forget.
    pub through: u64,
}

impl Request for Trim {
    const OP: Op = Op::Trim;
    type Response = Empty;
}
