//! One log's pushes in order of seq. Pure: time is passed in.
//!
//! ```text
//!            ring(seq = pushed + 1) ─────────────────────────> ready
//!  doorbell ─ ring(seq ≤ pushed) ──> ignored: it was pushed
//!            ring(seq > pushed + 1) ─> held ── the hole closes ──> ready
//!                                        └── 20 ms ──> hole: read it, fill ──> ready
//! ```
//!
//! A doorbell is only that: whatever is lost, late or doubled on the way is
//! mended from the log.

use super::hub::ConnectionId;
use crate::store::logs::{Entry, Written};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// An entry that overtook another waits this long; then the hole is read.
pub(crate) const HOLE_WAIT: Duration = Duration::from_millis(20);

/// Says that a log has an entry; the entry itself may be attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doorbell {
    /// The entry's number.
    pub(crate) seq: u64,
    /// The roster version that it is for; `None` where that isn't known.
    pub(crate) members_seq: Option<u64>,
    /// Without it: read it from the log.
    pub(crate) entry: Option<Entry>,
    /// The connection that appended it: it has the response.
    pub(crate) appender: Option<ConnectionId>,
}

impl Doorbell {
    /// An entry that was just written.
    pub(crate) fn written(written: Written, appender: Option<ConnectionId>) -> Self {
        Self {
            seq: written.entry.seq,
            members_seq: Some(written.members_seq),
            entry: Some(written.entry),
            appender,
        }
    }

    /// There is an entry with that number: read it.
    pub(crate) fn reference(seq: u64, members_seq: Option<u64>) -> Self {
        Self {
            seq,
            members_seq,
            entry: None,
            appender: None,
        }
    }
}

/// An entry whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) entry: Entry,
    /// The roster version that it is for; `None` where that isn't known.
    pub(crate) members_seq: Option<u64>,
    /// The connection that appended it.
    pub(crate) appender: Option<ConnectionId>,
}

/// One log's pushes.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Everything up to here was pushed, or was there before anybody was here.
    pushed: u64,
    held: BTreeMap<u64, Doorbell>,
    /// When the hole that is there now came up.
    hole_since: Option<Instant>,
}

impl Feed {
    /// A log of which nothing after `pushed` was pushed.
    pub(crate) fn new(pushed: u64) -> Self {
        Self {
            pushed,
            held: BTreeMap::new(),
            hole_since: None,
        }
    }

    /// The last number that was pushed or is waiting to be.
    pub(crate) fn heard(&self) -> u64 {
        self.held.last_key_value().map_or(self.pushed, |(seq, _)| *seq)
    }

    /// A doorbell rings.
    pub(crate) fn ring(&mut self, bell: Doorbell, now: Instant) {
        if bell.seq <= self.pushed {
            return;
        }
        // A bell with its entry is worth more than one without.
        let known = self.held.entry(bell.seq).or_insert_with(|| bell.clone());
        if known.entry.is_none() {
            *known = bell;
        }
        self.note_hole(now);
    }

    /// The entries whose turn it is; they count as pushed.
    pub(crate) fn take_ready(&mut self, now: Instant) -> Vec<Ready> {
        let mut ready = Vec::new();
        while let Some(first) = self.held.first_entry()
            && *first.key() == self.pushed + 1
            && first.get().entry.is_some()
        {
            let bell = first.remove();
            self.pushed = bell.seq;
            ready.extend(bell.entry.map(|entry| Ready {
                entry,
                members_seq: bell.members_seq,
                appender: bell.appender,
            }));
        }
        if !ready.is_empty() {
            self.hole_since = None;
            self.note_hole(now);
        }
        ready
    }

    /// When the hole is to be read; `None` without one.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.hole_since.map(|since| since + HOLE_WAIT)
    }

    /// The numbers to read, where a hole is due.
    pub(crate) fn hole(&self, now: Instant) -> Option<(u64, u64)> {
        if self.due()? > now {
            return None;
        }
        // Up to the last one that has no entry: what is held with its entry beyond it needs no reading.
        let attached = self.held.iter().rev().take_while(|(_, bell)| bell.entry.is_some());
        let mut last = self.heard();
        for (seq, _) in attached {
            if *seq != last {
                break;
            }
            last = seq - 1;
        }
        Some((self.pushed + 1, last))
    }

    /// What reading `first..=last` found. Numbers that the log has no longer
    /// (a trimmed inbox) count as pushed.
    pub(crate) fn fill(&mut self, last: u64, found: Vec<Entry>, now: Instant) -> Vec<Ready> {
        let mut ready = Vec::new();
        for entry in found {
            if entry.seq <= self.pushed || entry.seq > last {
                continue;
            }
            // A bell may know the version; the reader of a hole doesn't.
            let bell = self.held.remove(&entry.seq);
            self.pushed = entry.seq;
            let (members_seq, appender) = bell.map_or((None, None), |bell| (bell.members_seq, bell.appender));
            ready.push(Ready {
                entry,
                members_seq,
                appender,
            });
        }
        self.pushed = self.pushed.max(last);
        self.held = self.held.split_off(&(self.pushed + 1));
        self.hole_since = None;
        ready.extend(self.take_ready(now));
        self.note_hole(now);
        ready
    }

    fn note_hole(&mut self, now: Instant) {
        let waiting = self
            .held
            .first_key_value()
            .is_some_and(|(seq, bell)| *seq != self.pushed + 1 || bell.entry.is_none());
        if !waiting {
            self.hole_since = None;
        } else if self.hole_since.is_none() {
            // Nothing is on its way for a bell without an entry: read at once.
            let overtook = self.held.values().next().is_some_and(|bell| bell.entry.is_some());
            self.hole_since = Some(if overtook { now } else { now.checked_sub(HOLE_WAIT).unwrap_or(now) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::{EntryId, LogId};

    fn entry(seq: u64) -> Entry {
        Entry {
            log: LogId([1; 16]),
            seq,
            at: seq,
            kind: "app".into(),
            entry: EntryId([seq as u8; 16]),
            from: None,
            device: None,
            epoch: None,
            block: bytes::Bytes::new(),
            welcome_to: [].into(),
        }
    }

    fn bell(seq: u64) -> Doorbell {
        Doorbell {
            seq,
            members_seq: Some(1),
            entry: Some(entry(seq)),
            appender: None,
        }
    }

    fn reference(seq: u64) -> Doorbell {
        Doorbell::reference(seq, None)
    }

    fn seqs(ready: &[Ready]) -> Vec<u64> {
        ready.iter().map(|r| r.entry.seq).collect()
    }

    #[test]
    fn entries_leave_in_order_however_they_arrive() {
        let now = Instant::now();
        let mut feed = Feed::new(4);
        feed.ring(bell(6), now);
        assert!(feed.take_ready(now).is_empty());
        feed.ring(bell(7), now);
        feed.ring(bell(5), now);
        assert_eq!(seqs(&feed.take_ready(now)), [5, 6, 7]);
        assert_eq!(feed.due(), None);
    }

    #[test]
    fn what_was_pushed_is_not_pushed_again() {
        let now = Instant::now();
        let mut feed = Feed::new(4);
        feed.ring(bell(4), now);
        feed.ring(bell(5), now);
        feed.ring(bell(5), now);
        assert_eq!(seqs(&feed.take_ready(now)), [5]);
        feed.ring(bell(5), now);
        assert!(feed.take_ready(now).is_empty());
        assert_eq!(feed.due(), None);
    }

    #[test]
    fn a_hole_is_read_once_it_has_waited() {
        let now = Instant::now();
        let mut feed = Feed::new(4);
        feed.ring(bell(7), now);
        feed.ring(bell(8), now);
        assert_eq!(feed.hole(now), None);
        let later = now + HOLE_WAIT;
        assert_eq!(feed.hole(later), Some((5, 6)), "what is held needs no reading");
        assert_eq!(seqs(&feed.fill(6, vec![entry(5), entry(6)], later)), [5, 6, 7, 8]);
        assert_eq!(feed.due(), None);
    }

    #[test]
    fn a_bell_without_its_entry_is_read_at_once() {
        let now = Instant::now();
        let mut feed = Feed::new(4);
        feed.ring(reference(6), now);
        assert_eq!(feed.hole(now), Some((5, 6)));
        assert_eq!(seqs(&feed.fill(6, vec![entry(5), entry(6)], now)), [5, 6]);
    }

    #[test]
    fn numbers_that_the_log_has_no_longer_are_passed_over() {
        let now = Instant::now();
        let mut feed = Feed::new(0);
        feed.ring(reference(3), now);
        assert_eq!(seqs(&feed.fill(3, vec![entry(3)], now)), [3]);
        feed.ring(reference(5), now);
        assert!(feed.fill(5, vec![], now).is_empty());
        feed.ring(bell(6), now);
        assert_eq!(seqs(&feed.take_ready(now)), [6]);
    }

    #[test]
    fn a_second_hole_behind_the_first_waits_again() {
        let now = Instant::now();
        let mut feed = Feed::new(0);
        feed.ring(bell(2), now);
        feed.ring(bell(4), now);
        let later = now + HOLE_WAIT;
        assert_eq!(feed.hole(later), Some((1, 3)));
        assert_eq!(seqs(&feed.fill(3, vec![entry(1), entry(2), entry(3)], later)), [1, 2, 3, 4]);
    }
}
