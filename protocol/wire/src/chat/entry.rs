//! The `entry` event and the blocks that the server itself writes.

use super::members::Role;
use crate::{AccountId, DeviceId, EntryId, Event, EventName, LogId, encoding::Bytes64};
use serde::{Deserialize, Serialize};

/// An entry of a log; block: the entry's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EntryEvent {
    /// The log.
    pub log: LogId,
    /// Its number.
    pub seq: u64,
    /// When: ms since the Unix epoch.
    pub at: u64,
    /// The sender's, or `commit`, `welcome`, `member`, `welcomed`.
    pub kind: String,
    /// Its id.
    pub entry: EntryId,
    /// Who appended it; absent on the server's notices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<AccountId>,
    /// Which device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// The epoch that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// In place of the block of a Welcome that is for others.
    #[serde(default, rename = "block-sha256", skip_serializing_if = "Option::is_none")]
    pub block_sha256: Option<Bytes64>,
}

impl Event for EntryEvent {
    const NAME: EventName = EventName::Entry;
}

/// Block of a `member` entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MemberChanges {
    /// In the order in which they apply.
    pub changes: Vec<MemberChange>,
}

/// One change of membership or role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MemberChange {
    /// Whose.
    pub account: AccountId,
    /// What.
    pub change: Change,
    /// The new role, for [`Change::Added`] and [`Change::Role`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

/// What happened to a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Became a member.
    Added,
    /// Was removed.
    Removed,
    /// Left by itself.
    Left,
    /// Has another role.
    Role,
}
