//! Which logs are to be sent to now. Pure: time is passed in.
//!
//! ```text
//!         wake            start            finish, all settled
//!  idle ───────> ready ──────────> busy ─────────────────────────> ready (more may wait) ── nothing there ──> idle
//!                  ^                 └── finish, later ──> held ── until ──┐
//!                  └────────────────────────────────────────────────────────┘
//! ```

use crate::limits::BATCHES_MAX;
use fastchat_wire::LogId;
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Ready,
    Busy { since: Instant, woken: bool },
    Held { until: Instant },
}

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finished {
    /// There was nothing to send.
    Nothing,
    /// Every entry is settled: there may be more.
    Settled,
    /// The first ones that aren't settled wait until then.
    Held(Instant),
}

/// One lane for each log that has something to send.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: HashMap<LogId, (Lane, u32)>,
    ready: VecDeque<LogId>,
    busy: usize,
}

impl Lanes {
    /// There may be something to send to this log.
    pub(crate) fn wake(&mut self, log: LogId) {
        match self.lanes.get_mut(&log) {
            None => {
                self.lanes.insert(log, (Lane::Ready, 0));
                self.ready.push_back(log);
            }
            Some((Lane::Busy { woken, .. }, _)) => *woken = true,
            Some(_) => {}
        }
    }

    /// A log to send to now; it is busy until [`Self::finish`].
    pub(crate) fn start(&mut self, now: Instant) -> Option<LogId> {
        if self.busy >= BATCHES_MAX {
            return None;
        }
        let log = self.ready.pop_front()?;
        if let Some((lane, _)) = self.lanes.get_mut(&log) {
            *lane = Lane::Busy { since: now, woken: false };
            self.busy += 1;
        }
        Some(log)
    }

    /// A log's batch is over.
    pub(crate) fn finish(&mut self, log: LogId, finished: Finished) {
        let Some((lane, attempts)) = self.lanes.get_mut(&log) else {
            return;
        };
        let Lane::Busy { woken, .. } = *lane else {
            return;
        };
        self.busy -= 1;
        match finished {
            Finished::Nothing if !woken => {
                self.lanes.remove(&log);
            }
            Finished::Nothing | Finished::Settled => {
                *attempts = 0;
                *lane = Lane::Ready;
                self.ready.push_back(log);
            }
            Finished::Held(until) => {
                *attempts = attempts.saturating_add(1);
                *lane = Lane::Held { until };
            }
        }
    }

    /// How often in a row a log's first entry had to wait.
    pub(crate) fn attempts(&self, log: LogId) -> u32 {
        self.lanes.get(&log).map_or(0, |(_, attempts)| *attempts)
    }

    /// Logs whose pause is over are ready; when the next one's is.
    pub(crate) fn release(&mut self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for (log, (lane, _)) in &mut self.lanes {
            if let Lane::Held { until } = *lane {
                if until <= now {
                    *lane = Lane::Ready;
                    self.ready.push_back(*log);
                } else {
                    next = Some(next.map_or(until, |earlier| earlier.min(until)));
                }
            }
        }
        next
    }

    /// When a hole in this log needs fetching: not while an answer that may fill it is on its way.
    pub(crate) fn hole_deadline(&self, log: LogId, patience: Duration) -> Option<Instant> {
        match self.lanes.get(&log) {
            Some((Lane::Busy { since, .. }, _)) => Some(*since + patience),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogId = LogId([1; 16]);

    #[tokio::test]
    async fn one_batch_of_a_log_is_under_way_at_a_time() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        lanes.wake(LOG);
        lanes.wake(LOG);
        assert_eq!(lanes.start(now), Some(LOG));
        lanes.wake(LOG);
        assert_eq!(lanes.start(now), None);
        lanes.finish(LOG, Finished::Nothing);
        assert_eq!(lanes.start(now), Some(LOG), "woken while it was busy");
        lanes.finish(LOG, Finished::Nothing);
        assert_eq!(lanes.start(now), None);
    }

    #[tokio::test]
    async fn a_held_log_holds_its_later_entries_only_until_then() {
        let now = Instant::now();
        let until = now + Duration::from_secs(1);
        let mut lanes = Lanes::default();
        lanes.wake(LOG);
        lanes.start(now);
        lanes.finish(LOG, Finished::Held(until));
        lanes.wake(LOG);
        assert_eq!(lanes.attempts(LOG), 1);
        assert_eq!(lanes.release(now), Some(until));
        assert_eq!(lanes.start(now), None);
        assert_eq!(lanes.release(until), None);
        assert_eq!(lanes.start(until), Some(LOG));
        lanes.finish(LOG, Finished::Settled);
        assert_eq!(lanes.attempts(LOG), 0);
    }
}
