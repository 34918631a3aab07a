//! One entry of a log, as pushed, fetched, or acknowledged.

use crate::limits::ENTRY_OVERHEAD_BYTES;
use bytes::Bytes;
use fastchat_wire::{
    Frame, LogId,
    chat::entry::EntryEvent,
    limits::{INTEGER_MAX, KIND_BYTES_MAX},
};

/// An entry with its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number, time, sender and the rest of its header.
    pub head: EntryEvent,
    /// What was appended: opaque here.
    pub block: Bytes,
}

impl Entry {
    /// The log that it stands in.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.head.log
    }

    /// Its number.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.head.seq
    }

    /// What it counts in the bounds of queues.
    pub(crate) fn cost(&self) -> usize {
        self.block.len() + ENTRY_OVERHEAD_BYTES
    }

    /// Reads an `entry` event.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(frame: &Frame) -> Result<Self, String> {
        let head: EntryEvent = frame.parse().map_err(|error| error.message)?;
        if head.seq == 0 || head.seq > INTEGER_MAX {
            return Err(format!("an entry with the number {}", head.seq));
        }
        if head.kind.len() > KIND_BYTES_MAX {
            return Err(format!("an entry's kind of {} bytes", head.kind.len()));
        }
        // A copy: a slice would keep the whole read buffer alive while it waits.
        let block = Bytes::copy_from_slice(&frame.block);
        Ok(Self { head, block })
    }
}
