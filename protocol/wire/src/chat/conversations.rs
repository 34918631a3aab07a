//! `conversations`: the account's conversations, by pages. The answer's block is a JSON array of [`Conversation`].

use super::{create::ConversationKind, members::Role};
use crate::{LogId, Op, Request};
use serde::{Deserialize, Serialize};

/// A page of conversations, ordered by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Conversations {
    /// The last one of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<LogId>,
    /// 1 to [`crate::limits::PAGE_MAX`].
    pub limit: u32,
}

impl Request for Conversations {
    const OP: Op = Op::Conversations;
    type Response = ConversationsPage;
}

/// Header of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConversationsPage {
    /// There are further pages.
    pub more: bool,
    /// On the first page: the device's inbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<LogBounds>,
    /// On the first page: the account's archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<LogBounds>,
}

/// A log and the numbers that it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogBounds {
    /// The log.
    pub log: LogId,
    /// Its first entry that is kept; last + 1 where it is empty.
    pub first_seq: u64,
    /// Its last entry; 0 where there never was one.
    pub last_seq: u64,
}

/// One conversation, as its member sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Conversation {
    /// The conversation.
    pub conversation: LogId,
    /// Direct or group.
    pub kind: ConversationKind,
    /// The account's role.
    pub role: Role,
    /// The first entry that the account may read.
    pub from_seq: u64,
    /// The last entry.
    pub last_seq: u64,
    /// Counts commits.
    pub epoch: u64,
    /// How many accounts.
    pub members: u64,
    /// The account's own read mark; 0 at first.
    pub read: u64,
}
