//! `create`: a new conversation (PROTOCOL.md §5).

use crate::{AccountId, LogId, Op, Request};
use serde::{Deserialize, Serialize};

/// Two accounts, or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConversationKind {
    /// Exactly two accounts; unique for its pair.
    Direct,
    /// Any number, with admins.
    Group,
}

/// A new conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Create {
    /// Chosen by the creator (UUIDv7).
    pub conversation: LogId,
    /// Direct or group.
    pub kind: ConversationKind,
    /// The others; at most [`crate::limits::CREATE_MEMBERS_MAX`].
    pub members: Vec<AccountId>,
}

impl Request for Create {
    const OP: Op = Op::Create;
    type Response = Created;
}

/// The conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Created {
    /// The new one, or a direct one's that exists.
    pub conversation: LogId,
    /// False where it existed.
    pub created: bool,
}
