//! Entries that wait to be sent: the caller's durable queue, and how it is sent.
//!
//! ```text
//!  add ──> waiting ──batch──> sent ──┬─ appended ────────────> settled
//!             ^                      ├─ refused for good ────> settled
//!             └── pause, same entry ─┴─ retryable, or unknown
//! ```
//!
//! Entries of one log are sent in the order in which they were added, and an
//! entry whose outcome is unknown is sent again as it was: the server knows it
//! by its id. So an entry is in its log at most once, whatever happens.

mod batch;
pub(crate) mod lanes;
mod memory;

use crate::{chat::CommitPieces, error::Refused, journal::StorageError};
pub(crate) use batch::{Verdict, cut, send};
use bytes::Bytes;
use fastchat_wire::{EntryId, LogId, chat::append::Appended};
pub use memory::MemoryOutbox;

/// An entry to send: the same bytes each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub log: LogId,
    /// Its id (UUIDv7): what makes sending it twice harmless.
    pub entry: EntryId,
    /// What is sent.
    pub payload: Payload,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// An `append`.
    Append {
        /// The entry's kind: 1 to 32 of `a-z-`.
        kind: String,
        /// Refused unless current.
        epoch: Option<u64>,
        /// The entry's block.
        block: Bytes,
    },
    /// A `commit`: it is sent alone, after all before it and before all after it.
    Commit {
        /// The `welcome` entry's id, where there is a Welcome.
        welcome_entry: Option<EntryId>,
        /// The epoch that it leaves.
        epoch: u64,
        /// Lists, commit, Welcome, group info.
        pieces: CommitPieces,
    },
}

impl Outgoing {
    /// An append with a new id.
    #[must_use]
    pub fn append(log: LogId, kind: &str, epoch: Option<u64>, block: Bytes) -> Self {
        Self {
            log,
            entry: EntryId::from(uuid::Uuid::now_v7()),
            payload: Payload::Append {
                kind: kind.to_owned(),
                epoch,
                block,
            },
        }
    }

    /// Bytes of its block.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        match &self.payload {
            Payload::Append { block, .. } => block.len(),
            Payload::Commit { pieces, .. } => pieces.commit.len() + pieces.welcome.len() + pieces.group_info.len(),
        }
    }
}

/// How an entry ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// It stands in its log.
    Appended(Appended),
    /// It never will: `not-member`, `epoch-conflict`, `forbidden`, …
    Refused(Refused),
}

/// The caller's durable queue. The methods may block: they are called off the
/// async threads; those that change something return when it is durable.
pub trait Outbox: Send + Sync + 'static {
    /// Adds an entry. A caller that adds in a transaction of its own calls
    /// [`crate::session::Handle::wake`] afterwards instead.
    ///
    /// # Errors
    /// The storage fails or is full.
    fn add(&self, outgoing: Outgoing) -> Result<(), StorageError>;

    /// The logs that have entries waiting.
    ///
    /// # Errors
    /// The storage fails.
    fn logs(&self) -> Result<Vec<LogId>, StorageError>;

    /// The first entries that wait for one log, in the order in which they were
    /// added: at most `entries_max`, and (but for the first one) no more than
    /// `bytes_max` bytes of blocks.
    ///
    /// # Errors
    /// The storage fails.
    fn first(&self, log: LogId, entries_max: usize, bytes_max: usize) -> Result<Vec<Outgoing>, StorageError>;

    /// These are over: they wait no longer. All of one log, in its order.
    ///
    /// # Errors
    /// The storage fails.
    fn settle(&self, settled: &[(EntryId, Settlement)]) -> Result<(), StorageError>;
}
