//! What was seen: sends, acknowledgements, what each member took in, and the logs as they stand at the end.

use fastchat_wire::LogId;
use serde::{Deserialize, Serialize};

/// A message: the sender's place among the members, and its count of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) sender: u32,
    /// From 0.
    pub(crate) number: u64,
}

/// An entry as somebody saw it; without a message it is the server's own, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<Message>,
}

/// A message that the fleet acknowledged as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acknowledged {
    pub(crate) message: Message,
    /// Where it is said to stand.
    pub(crate) seq: u64,
}

/// All about one conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) log: LogId,
    /// How many messages each member sent; whether they were stored is another matter.
    pub(crate) sent: Vec<u64>,
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// The whole log, read at the end.
    pub(crate) entries: Vec<Entry>,
    /// What each member took in, in its order, its own messages included.
    pub(crate) taken: Vec<Vec<Entry>>,
}

impl Record {
    /// Nothing was seen yet.
    pub(crate) fn new(log: LogId, members: usize) -> Self {
        Self {
            log,
            sent: vec![0; members],
            acknowledged: Vec::new(),
            entries: Vec::new(),
            taken: vec![Vec::new(); members],
        }
    }
}

/// All that was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    pub(crate) conversations: Vec<Record>,
}
