//! `group-info`: the GroupInfo of the last commit, for an external join. The answer's block is the GroupInfo.

use crate::{LogId, Op, Request};
use serde::{Deserialize, Serialize};

/// Asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GroupInfo {
    /// Whose.
    pub conversation: LogId,
}

impl Request for GroupInfo {
    const OP: Op = Op::GroupInfo;
    type Response = GroupInfoFound;
}

/// Block: the MLS GroupInfo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GroupInfoFound {
    /// The conversation's epoch.
    pub epoch: u64,
}
