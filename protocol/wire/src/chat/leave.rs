//! `leave`: the account is no member any more. Writes a `member` entry.

use crate::{Empty, LogId, Op, Request};
use serde::{Deserialize, Serialize};

/// Leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Leave {
    /// Which.
    pub conversation: LogId,
}

impl Request for Leave {
    const OP: Op = Op::Leave;
    type Response = Empty;
}
