//! `grant`: another role. Writes a `member` entry.

use super::members::Role;
use crate::{AccountId, Empty, LogId, Op, Request};
use serde::{Deserialize, Serialize};

/// Another role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Grant {
    /// Where.
    pub conversation: LogId,
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub role: Role,
}

impl Request for Grant {
    const OP: Op = Op::Grant;
    type Response = Empty;
}
