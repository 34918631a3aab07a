//! `members`: a conversation's members, by pages. The answer's block is a JSON array of [`Member`].

use crate::{AccountId, DeviceId, LogId, Op, Request, Username};
use serde::{Deserialize, Serialize};

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads and appends. Everybody in a direct conversation.
    Member,
    /// Also adds, removes and grants.
    Admin,
}

/// A page of members, ordered by account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Members {
    /// Whose.
    pub conversation: LogId,
    /// The last one of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<AccountId>,
    /// 1 to [`crate::limits::PAGE_MAX`].
    pub limit: u32,
}

impl Request for Members {
    const OP: Op = Op::Members;
    type Response = MembersPage;
}

/// Header of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MembersPage {
    /// There are further pages.
    pub more: bool,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Member {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub username: Username,
    /// Its role.
    pub role: Role,
    /// Its devices.
    pub devices: Vec<DeviceId>,
    /// Its read mark.
    pub read: u64,
    /// Its delivered mark.
    pub delivered: u64,
}
