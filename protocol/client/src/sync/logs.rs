//! All logs that a session follows. Pure.

use super::log::{Log, Step};
use crate::{
    chat::Page,
    entry::Entry,
    limits::{HELD_BYTES_MAX, LOGS_MAX},
};
use fastchat_wire::LogId;
use std::collections::{HashMap, HashSet, VecDeque};

/// The server named more logs than any account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {LOGS_MAX} logs")]
pub(crate) struct TooManyLogs;

/// The logs, and which of them are to be fetched, in turn.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    logs: HashMap<LogId, Log>,
    held_bytes: usize,
    /// Logs that want a fetch, first come first served.
    due: VecDeque<LogId>,
    is_due: HashSet<LogId>,
}

impl Logs {
    /// The logs of which something was processed.
    pub(crate) fn new(cursors: &HashMap<LogId, u64>) -> Self {
        Self {
            logs: cursors.iter().map(|(log, cursor)| (*log, Log::new(*cursor))).collect(),
            ..Self::default()
        }
    }

    /// An entry was pushed, or an own one acknowledged. Without `room` for it
    /// at the consumer it only rings.
    pub(crate) fn heard(&mut self, entry: Entry, room: bool, steps: &mut Vec<Step>) -> Result<(), TooManyLogs> {
        let id = entry.log();
        let may_hold = self.held_bytes + entry.cost() <= HELD_BYTES_MAX;
        self.change(id, |log| {
            if room {
                log.heard(entry, may_hold, steps);
            } else {
                log.rung(entry.seq());
            }
        })
    }

    /// A log has entries up to this number.
    pub(crate) fn rung(&mut self, id: LogId, last_seq: u64) -> Result<(), TooManyLogs> {
        self.change(id, |log| log.rung(last_seq))
    }

    /// A log may have further entries.
    pub(crate) fn touched(&mut self, id: LogId) -> Result<(), TooManyLogs> {
        self.change(id, Log::touched)
    }

    /// This account has no such log (any more).
    pub(crate) fn forget(&mut self, id: LogId) {
        if let Some(log) = self.logs.remove(&id) {
            self.held_bytes -= log.held_bytes();
        }
    }

    /// The next log to fetch, and after which number. `wait` says for which
    /// logs a hole may yet close by itself.
    pub(crate) fn begin_fetch(&mut self, mut wait: impl FnMut(LogId) -> bool) -> Option<(LogId, u64)> {
        for _ in 0..self.due.len() {
            let id = self.due.pop_front()?;
            let Some(log) = self.logs.get_mut(&id).filter(|log| log.wants_fetch()) else {
                self.is_due.remove(&id);
                continue;
            };
            if log.has_hole_only() && wait(id) {
                self.due.push_back(id);
                continue;
            }
            self.is_due.remove(&id);
            return Some((id, log.begin_fetch()));
        }
        None
    }

    /// No log wants a fetch; those under way are not counted.
    pub(crate) fn nothing_due(&self) -> bool {
        !self.due.iter().any(|id| self.logs.get(id).is_some_and(Log::wants_fetch))
    }

    /// A fetch failed.
    pub(crate) fn fetch_failed(&mut self, id: LogId) {
        if self.logs.contains_key(&id) {
            // It exists, so that no bound is met.
            let _ = self.change(id, Log::fetch_failed);
        }
    }

    /// A fetch brought a page.
    ///
    /// # Errors
    /// What is wrong with the page.
    pub(crate) fn fetched(&mut self, id: LogId, page: Page, steps: &mut Vec<Step>) -> Result<(), String> {
        if !self.logs.contains_key(&id) {
            return Ok(());
        }
        let mut checked = Ok(());
        self.change(id, |log| checked = log.fetched(id, page, steps))
            .map_err(|error| error.to_string())?;
        checked
    }

    fn change(&mut self, id: LogId, change: impl FnOnce(&mut Log)) -> Result<(), TooManyLogs> {
        if self.logs.len() >= LOGS_MAX && !self.logs.contains_key(&id) {
            return Err(TooManyLogs);
        }
        let log = self.logs.entry(id).or_default();
        let before = log.held_bytes();
        change(log);
        self.held_bytes = self.held_bytes - before + log.held_bytes();
        if log.wants_fetch() && self.is_due.insert(id) {
            self.due.push_back(id);
        }
        Ok(())
    }
}
