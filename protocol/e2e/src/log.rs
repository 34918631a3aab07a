//! Where a device stands in a conversation's log, and what it says and hears about that.
//!
//! Entries are taken in order, each number once. Every one moves the head (see
//! [`crate::head`]), whether it opens or not. A device that joined knows no head: it keeps
//! what it has read unchained until the device that added it names one, or, where it came
//! in by itself, any member does.

use crate::{
    head::LogHead,
    id::{AccountId, DeviceId, EntryId},
    mls::MemberDevice,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// How many past heads are kept to compare with. What names an older number is unchecked.
pub const HEADS_KEPT: u64 = 4096;

/// Kind of the entries that carry an application message.
pub const KIND_MESSAGE: &str = "app";
/// Kind of a commit; written by the server on `commit` only.
pub const KIND_COMMIT: &str = "commit";
/// Kind of a Welcome; written by the server on `commit` only.
pub const KIND_WELCOME: &str = "welcome";
/// Kind of the server's own notes on who is in.
pub const KIND_MEMBER: &str = "member";

/// An entry's block, or what the server sends in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Block<'a> {
    /// All of it.
    Bytes(&'a [u8]),
    /// Its SHA-256 only: a Welcome for others.
    Sha256([u8; 32]),
}

impl Block<'_> {
    /// The block's SHA-256.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        match self {
            Self::Bytes(bytes) => Sha256::digest(bytes).into(),
            Self::Sha256(hash) => *hash,
        }
    }
}

impl fmt::Debug for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Sha256(_) => f.write_str("hash"),
        }
    }
}

/// An entry as the server shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEntry<'a> {
    /// Its number, from 1.
    pub seq: u64,
    /// Its id, chosen by its sender.
    pub entry: EntryId,
    /// Its kind.
    pub kind: &'a str,
    /// Whom the server names as its sender; none for its own.
    pub from: Option<(AccountId, DeviceId)>,
    /// For a commit: the server's epoch that it leaves.
    pub epoch: Option<u64>,
    /// What is in it.
    pub block: Block<'a>,
}

impl LogEntry<'_> {
    /// The sender that the server names.
    #[must_use]
    pub fn named_sender(&self) -> Option<MemberDevice> {
        self.from.map(|(account, device)| MemberDevice { account, device })
    }
}

/// Where a device stands in one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// The last entry that was processed.
    pub(crate) seq: u64,
    /// The head there; none until a joiner has adopted one.
    pub(crate) head: Option<[u8; 32]>,
    /// The server's epoch: commits in the log, applied or not.
    pub(crate) server_epoch: u64,
    /// The group's MLS epoch.
    pub(crate) mls_epoch: u64,
    /// Drawn whenever the group's state is written: a copy in memory with another one is stale.
    pub(crate) version: u64,
    /// This device was removed; no state is left.
    pub(crate) out: bool,
    /// A joiner's way to a head.
    pub(crate) joining: Option<Joining>,
    /// This device came in by itself, and has opened nothing of anybody since: so many times before, the others went
    /// on without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unproven: Option<u32>,
}

/// Who names a joiner's first head: the device that added it. Whoever came in by itself believes the first one who
/// names a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Joining {
    pub(crate) account: Option<AccountId>,
    pub(crate) device: Option<DeviceId>,
    /// The number of the commit that added this device.
    pub(crate) commit: u64,
}

impl Joining {
    /// By the device that added this one.
    pub(crate) fn added_by(adder: MemberDevice, commit: u64) -> Self {
        Self {
            account: Some(adder.account),
            device: Some(adder.device),
            commit,
        }
    }

    /// By an own commit from outside.
    pub(crate) fn alone(commit: u64) -> Self {
        Self {
            account: None,
            device: None,
            commit,
        }
    }

    /// Whether a device is one to believe.
    pub(crate) fn believes(&self, sender: MemberDevice) -> bool {
        self.account.is_none_or(|account| account == sender.account) && self.device.is_none_or(|device| device == sender.device)
    }
}

impl Position {
    /// At the start of an own conversation's log.
    pub(crate) fn start(head: LogHead) -> Self {
        Self {
            seq: head.seq,
            head: Some(head.hash),
            server_epoch: 0,
            mls_epoch: 0,
            version: 0,
            out: false,
            joining: None,
            unproven: None,
        }
    }

    /// The head, where one is known.
    pub(crate) fn log_head(&self) -> Option<LogHead> {
        self.head.map(|hash| LogHead { seq: self.seq, hash })
    }

    /// What an own message says about the log. A joiner without a head says nothing.
    pub(crate) fn authenticated_data(&self) -> Vec<u8> {
        self.log_head().map(|head| head.to_authenticated_data()).unwrap_or_default()
    }
}

/// How a message's head compares with the own one for that number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadCheck {
    /// The same: sender and receiver have read the same log up to this number.
    Agrees(u64),
    /// Another one: see [`Alarm::Fork`].
    Forked,
    /// Not comparable: beyond what is kept, or this device has just joined.
    Unchecked,
    /// The message names none: its sender has just joined.
    Absent,
    /// There is none to compare: no message, or an own one.
    None,
}

/// Something that the user must see. The conversation goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// A member was shown another history.
    Fork {
        /// Up to which number.
        seq: u64,
        /// By whose message.
        sender: MemberDevice,
    },
    /// The server shows another entry for a number that was read before.
    Rewritten {
        /// The number.
        seq: u64,
    },
    /// The server acknowledged an own entry for a number, and shows another entry there.
    Moved {
        /// The acknowledged number.
        seq: u64,
        /// The own entry.
        entry: EntryId,
    },
    /// The server names another sender than the one who sealed.
    Sender {
        /// Whom the server names.
        named: Option<MemberDevice>,
        /// Who sealed.
        sealed_by: MemberDevice,
    },
    /// The server shows an own entry with other content than it was given.
    Altered {
        /// The own entry.
        entry: EntryId,
    },
}

impl Alarm {
    /// Those whom it is about.
    pub fn who(&self) -> Vec<MemberDevice> {
        match self {
            Self::Fork { sender, .. } => vec![*sender],
            Self::Sender { named, sealed_by } => named.iter().copied().chain([*sealed_by]).collect(),
            Self::Rewritten { .. } | Self::Moved { .. } | Self::Altered { .. } => Vec::new(),
        }
    }

    /// For people: what happened, and what to do; whose device it is says `name`.
    pub fn sentence(&self, name: impl Fn(MemberDevice) -> String) -> String {
        match self {
            Self::Fork { seq, sender } => format!(
                "WARNING: the server shows you and {} different histories of this conversation (up to number {seq}). \
                 Messages may be missing, changed or reordered. Compare with that person over another channel, and don't trust this server until its operator explains.",
                name(*sender)
            ),
            Self::Rewritten { seq } => format!(
                "WARNING: the server now shows something else as number {seq} of this conversation than before. Don't trust it until its operator explains."
            ),
            Self::Moved { seq, entry } => format!(
                "WARNING: the server said that your message {entry} is number {seq} of this conversation, and shows something else there. \
                 The others may not have it: ask them over another channel."
            ),
            Self::Sender { named, sealed_by } => format!(
                "WARNING: the server says that this comes from {}, but {} sealed it. Believe the seal, and don't trust this server until its operator explains.",
                named.map_or_else(|| "nobody".to_owned(), &name),
                name(*sealed_by)
            ),
            Self::Altered { entry } => format!(
                "WARNING: the server shows your own message {entry} with other content than you sent. The others may not have it: ask them over another channel."
            ),
        }
    }
}

/// With ids in place of names.
impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence(|who| format!("device {} of account {}", who.device, who.account)))
    }
}
