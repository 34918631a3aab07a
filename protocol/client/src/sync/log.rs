//! One log: its cursor, and what waits behind a hole. Pure.

use crate::{chat::Page, entry::Entry, limits::HELD_ENTRIES_MAX};
use fastchat_wire::{LogId, limits::INTEGER_MAX};
use std::collections::BTreeMap;

/// What the consumer gets, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The next entry.
    Entry(Entry),
    /// The entries after `after` and before `first` are not to be had: they are
    /// older than the log keeps, or than the account's membership.
    Gap {
        /// Which log.
        log: LogId,
        /// The cursor before it.
        after: u64,
        /// The first entry that can be read.
        first: u64,
    },
}

/// One log, as far as this client knows it.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Everything up to here was handed to the consumer.
    cursor: u64,
    /// Entries behind a hole.
    held: BTreeMap<u64, Entry>,
    held_bytes: usize,
    /// The highest number heard of since the last fetch began.
    bell: u64,
    /// There may be more than was heard of.
    stale: bool,
    /// A fetch after this number is under way.
    fetching: Option<u64>,
}

impl Log {
    /// A log of which everything up to `cursor` was processed.
    #[must_use]
    pub fn new(cursor: u64) -> Self {
        Self { cursor, ..Self::default() }
    }

    /// The last number that was handed out.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Bytes that wait behind a hole.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// An entry was pushed, or an own one acknowledged. What can't be handed
    /// out yet is kept where `may_hold`, and fetched later otherwise.
    pub fn heard(&mut self, entry: Entry, may_hold: bool, steps: &mut Vec<Step>) {
        let seq = entry.seq();
        if seq <= self.cursor {
            return;
        }
        self.bell = self.bell.max(seq);
        if seq == self.cursor + 1 {
            self.hand_out(entry, steps);
            self.drain(steps);
        } else if may_hold && self.held.len() < HELD_ENTRIES_MAX && !self.held.contains_key(&seq) {
            self.held_bytes += entry.cost();
            self.held.insert(seq, entry);
        }
    }

    /// The log has entries up to this number, by somebody's word.
    pub fn rung(&mut self, last_seq: u64) {
        self.bell = self.bell.max(last_seq);
    }

    /// The log may have further entries.
    pub fn touched(&mut self) {
        self.stale = true;
    }

    /// True where a fetch is due.
    #[must_use]
    pub fn wants_fetch(&self) -> bool {
        self.fetching.is_none() && (self.stale || self.bell > self.cursor || !self.held.is_empty())
    }

    /// True where what is missing may also come by itself: all that was heard
    /// of stands behind a hole, and nobody said that something was lost.
    #[must_use]
    pub fn has_hole_only(&self) -> bool {
        !self.stale && !self.held.is_empty()
    }

    /// A fetch begins; the number that it is to follow.
    pub fn begin_fetch(&mut self) -> u64 {
        self.fetching = Some(self.cursor);
        self.stale = false;
        self.bell = 0;
        self.cursor
    }

    /// The fetch failed: it is due again.
    pub fn fetch_failed(&mut self) {
        self.fetching = None;
        self.stale = true;
    }

    /// The fetch brought a page.
    ///
    /// # Errors
    /// What is wrong with the page; the fetch is due again.
    pub fn fetched(&mut self, log: LogId, page: Page, steps: &mut Vec<Step>) -> Result<(), String> {
        let Some(after) = self.fetching.take() else {
            return Ok(());
        };
        if let Err(wrong) = check(log, after, &page) {
            self.stale = true;
            return Err(wrong);
        }
        let first = page.first_seq;
        // Beyond the log's end there is no gap: nothing was to be had there yet.
        if first > self.cursor + 1 {
            steps.push(Step::Gap {
                log,
                after: self.cursor,
                first,
            });
            self.cursor = first - 1;
            self.forget_held();
        }
        for entry in page.entries {
            if entry.seq() > self.cursor {
                self.hand_out(entry, steps);
            }
        }
        self.drain(steps);
        if page.more || page.last_seq > self.cursor {
            self.stale = true;
            if self.cursor == after {
                return Err("a page without the entries that it says are there".to_owned());
            }
        }
        Ok(())
    }

    fn hand_out(&mut self, entry: Entry, steps: &mut Vec<Step>) {
        self.cursor = entry.seq();
        steps.push(Step::Entry(entry));
    }

    /// Hands out what now follows the cursor.
    fn drain(&mut self, steps: &mut Vec<Step>) {
        self.forget_held();
        while let Some(entry) = self.held.remove(&(self.cursor + 1)) {
            self.held_bytes -= entry.cost();
            self.hand_out(entry, steps);
        }
    }

    /// Drops what was handed out another way.
    fn forget_held(&mut self) {
        while let Some(first) = self.held.first_entry()
            && *first.key() <= self.cursor
        {
            self.held_bytes -= first.remove().cost();
        }
    }
}

/// A page follows its cursor (or begins at `first-seq`), in order, without holes.
fn check(log: LogId, after: u64, page: &Page) -> Result<(), String> {
    if page.last_seq > INTEGER_MAX || page.first_seq == 0 || page.first_seq > page.last_seq + 1 {
        return Err(format!("a log from {} to {}", page.first_seq, page.last_seq));
    }
    for (expected, entry) in (page.first_seq.max(after + 1)..).zip(&page.entries) {
        if entry.log() != log || entry.seq() != expected {
            return Err(format!("the entry {} where {expected} was due", entry.seq()));
        }
    }
    Ok(())
}
