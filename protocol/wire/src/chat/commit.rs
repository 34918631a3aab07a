//! `commit`: an MLS commit with what follows from it, atomically. The block has four pieces: [`CommitLists`] as JSON, the commit, the Welcome (may be empty), the group info.

use super::append::Appended;
use crate::{AccountId, DeviceId, EntryId, LogId, Op, Request};
use serde::{Deserialize, Serialize};

/// A commit; block: lists, commit, Welcome, group info.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Commit {
    /// Whose.
    pub conversation: LogId,
    /// Id of the `commit` entry.
    pub entry: EntryId,
    /// Id of the `welcome` entry, where there is a Welcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub welcome_entry: Option<EntryId>,
    /// The epoch that it leaves.
    pub epoch: u64,
}

impl Request for Commit {
    const OP: Op = Op::Commit;
    type Response = Appended;
}

/// First piece of the block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CommitLists {
    /// Accounts that become members.
    #[serde(default)]
    pub add: Vec<AccountId>,
    /// Accounts that cease to be.
    #[serde(default)]
    pub remove: Vec<AccountId>,
    /// Devices whose inbox gets a notice.
    #[serde(default)]
    pub welcome_to: Vec<DeviceId>,
}

/// Top-level key of an `epoch-conflict`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CurrentEpoch {
    /// The current epoch.
    pub epoch: u64,
}

/// Block of a `welcomed` notice in an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WelcomedNotice {
    /// Where the Welcome stands.
    pub conversation: LogId,
    /// Its number.
    pub seq: u64,
}
