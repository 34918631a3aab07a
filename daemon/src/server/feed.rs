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
use crate::{
    bus::message::BLOCK_BYTES_BY_VALUE_MAX,
    store::logs::{Entry, Written},
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// An entry that overtook another waits this long; then the hole is read.
pub(crate) const HOLE_WAIT: Duration = Duration::from_millis(20);
/// Doorbells that wait behind a hole of one log; of more, only the last number is kept.
const HELD_MAX: usize = 1_024;

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
    /// The roster version that it is for; 0 where the last one that was read will do.
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

    /// Nobody is here who has not learned of everything up to there by itself.
    pub(crate) fn skip_to(&mut self, seq: u64, now: Instant) {
        if seq > self.pushed {
            self.pushed = seq;
            self.held = self.held.split_off(&(seq + 1));
            self.hole_since = None;
            self.note_hole(now);
        }
    }

    /// What was ready from that number on could not be pushed: it is a hole again.
    pub(crate) fn put_back(&mut self, first: u64, now: Instant) {
        let last = self.pushed;
        self.pushed = first.saturating_sub(1);
        self.held.entry(last).or_insert_with(|| Doorbell::reference(last, None));
        self.note_hole(now);
    }

    /// A doorbell rings.
    pub(crate) fn ring(&mut self, mut bell: Doorbell, now: Instant) {
        if bell.seq <= self.pushed {
            return;
        }
        // A large block is not held behind a hole: it is read with it.
        let large = |entry: &Entry| entry.block.len() > BLOCK_BYTES_BY_VALUE_MAX;
        if bell.seq > self.pushed + 1 && bell.entry.as_ref().is_some_and(large) {
            bell.entry = None;
        }
        // Too many to hold: what is dropped here is read from the log, up to the last of them.
        if self.held.len() >= HELD_MAX && !self.held.contains_key(&bell.seq) {
            let last = self.heard().max(bell.seq);
            self.held.pop_last();
            self.held.insert(last, Doorbell::reference(last, None));
            self.note_hole(now);
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
    /// (a trimmed inbox) count as pushed. The caller read the roster after that,
    /// so it is new enough for all that was found.
    pub(crate) fn fill(&mut self, last: u64, found: Vec<Entry>, now: Instant) -> Vec<Ready> {
        let mut ready = Vec::new();
        for entry in found {
            if entry.seq <= self.pushed || entry.seq > last {
                continue;
            }
            let appender = self.held.remove(&entry.seq).and_then(|bell| bell.appender);
            self.pushed = entry.seq;
            ready.push(Ready {
                entry,
                members_seq: Some(0),
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
    fn a_hole_that_stays_holds_a_bounded_number_of_bells() {
        let now = Instant::now();
        let mut feed = Feed::new(0);
        let last = HELD_MAX as u64 * 3;
        for seq in 2..=last {
            feed.ring(bell(seq), now);
        }
        assert!(feed.held.len() <= HELD_MAX);
        assert_eq!(
            (feed.heard(), feed.hole(now + HOLE_WAIT)),
            (last, Some((1, last))),
            "and none is forgotten"
        );
    }

    #[test]
    fn large_blocks_are_not_held_behind_a_hole() {
        let now = Instant::now();
        let mut feed = Feed::new(0);
        let mut large = bell(2);
        large.appender = Some(ConnectionId(7));
        if let Some(entry) = &mut large.entry {
            entry.block = vec![b'x'; BLOCK_BYTES_BY_VALUE_MAX + 1].into();
        }
        feed.ring(large.clone(), now);
        assert!(feed.held.values().all(|bell| bell.entry.is_none()));
        let ready = feed.fill(2, vec![entry(1), entry(2)], now);
        assert_eq!((seqs(&ready), ready[1].appender), (vec![1, 2], Some(ConnectionId(7))));
        large.seq = 3;
        feed.ring(large, now);
        assert_eq!(feed.take_ready(now).len(), 1, "one whose turn it is goes out as it came");
    }

    #[test]
    fn what_could_not_be_pushed_is_read_again() {
        let now = Instant::now();
        let mut feed = Feed::new(0);
        for seq in [1, 2, 3, 5] {
            feed.ring(bell(seq), now);
        }
        assert_eq!(seqs(&feed.take_ready(now)), [1, 2, 3]);
        feed.put_back(2, now);
        let later = now + HOLE_WAIT;
        assert_eq!(feed.hole(later), Some((2, 4)));
        assert_eq!(seqs(&feed.fill(4, vec![entry(2), entry(3), entry(4)], later)), [2, 3, 4, 5]);
    }

    #[test]
    fn what_nobody_was_here_for_is_skipped() {
        let now = Instant::now();
        let mut feed = Feed::new(0);
        feed.ring(bell(3), now);
        feed.ring(bell(9), now);
        feed.skip_to(8, now);
        assert_eq!(seqs(&feed.take_ready(now)), [9]);
        feed.skip_to(5, now);
        feed.ring(bell(9), now);
        assert!(feed.take_ready(now).is_empty(), "never back");
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
