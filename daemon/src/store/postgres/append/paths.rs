//! How often which path was taken.

use prometheus::{IntCounter, IntCounterVec};

/// Entries by the path that they took.
#[derive(Debug, Clone)]
pub(crate) struct AppendPaths {
    memory: IntCounter,
    locked: IntCounter,
    again: IntCounter,
}

impl AppendPaths {
    /// The values of the label `path`: numbered from memory; decided by the database; decided by it after
    /// memory had been wrong (counted as `locked` too).
    pub(crate) const ALL: [&str; 3] = ["memory", "locked", "again"];

    /// Counts in a vector with the label `path`.
    pub(crate) fn new(paths: &IntCounterVec) -> Self {
        let [memory, locked, again] = Self::ALL.map(|path| paths.with_label_values(&[path]));
        Self { memory, locked, again }
    }

    pub(super) fn numbered(&self, written: usize, again: usize) {
        self.memory.inc_by(written as u64);
        self.again.inc_by(again as u64);
    }

    pub(super) fn locked(&self, entries: usize) {
        self.locked.inc_by(entries as u64);
    }
}
