//! For how long a fleet asks a client to wait before it comes: said here, for who looks on and who is patient.
//!
//! A fleet that has many arrivals at once (after a crash, say) tells each of them when to come: a balancer with its
//! answer, balancer and servers with what they refuse for now. A client does as it is told, so nobody who waits for it
//! gives up meanwhile.

use crate::limits::WAIT_MAX;
use std::time::Duration;
use tokio::{sync::watch, time::Instant};

/// Until when the fleet has last asked to be left alone. Clones are one.
#[derive(Debug, Clone)]
pub struct Waits(watch::Sender<Option<Instant>>);

impl Default for Waits {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Waits {
    /// Until when, now and whenever that changes; none where the fleet has not asked yet. It may be over.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<Instant>> {
        self.0.subscribe()
    }

    /// How much of the wait that was last asked for is left; none where it is over.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        let left = (*self.0.borrow())?.checked_duration_since(Instant::now())?;
        (!left.is_zero()).then_some(left)
    }

    /// The fleet asks to wait for so long; gives until when.
    pub(crate) fn asked(&self, wait: Duration) -> Instant {
        let until = Instant::now() + wait;
        if !wait.is_zero() {
            self.0.send_replace(Some(until));
        }
        until
    }
}

/// How long somebody waits for a fleet: so long, and again so long after each wait that the fleet asked for, but at most
/// [`WAIT_MAX`] more in all. Pure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    since: Instant,
    each: Duration,
}

impl Patience {
    pub(crate) fn from(since: Instant, each: Duration) -> Self {
        Self { since, each }
    }

    /// When it ends, by the wait that was last asked for.
    pub(crate) fn ends(&self, asked: Option<Instant>) -> Instant {
        let end = self.since + self.each;
        match asked {
            Some(until) if until > self.since => end.max(until + self.each).min(end + WAIT_MAX),
            _ => end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: Duration = Duration::from_secs(20);

    #[test]
    fn who_is_told_to_wait_a_minute_waits_it_and_has_all_of_their_patience_after_it() {
        let now = Instant::now();
        let patience = Patience::from(now, EACH);
        assert_eq!(patience.ends(None), now + EACH);
        assert_eq!(patience.ends(Some(now + Duration::from_secs(60))), now + Duration::from_secs(80));
    }

    #[test]
    fn a_wait_that_was_over_before_counts_for_nothing() {
        let now = Instant::now() + Duration::from_secs(60);
        let patience = Patience::from(now, EACH);
        assert_eq!(patience.ends(Some(now - Duration::from_secs(1))), now + EACH);
    }

    #[test]
    fn a_fleet_that_asks_again_and_again_is_not_waited_for_without_end() {
        let now = Instant::now();
        let patience = Patience::from(now, EACH);
        assert_eq!(patience.ends(Some(now + WAIT_MAX)), now + WAIT_MAX + EACH);
        assert_eq!(patience.ends(Some(now + WAIT_MAX + Duration::from_secs(1))), now + WAIT_MAX + EACH);
    }

    #[test]
    fn what_is_asked_for_is_seen_by_all_clones_until_it_is_over() {
        let waits = Waits::default();
        let mut seen = waits.clone().watch();
        waits.asked(Duration::ZERO);
        assert_eq!((waits.left(), seen.has_changed().unwrap()), (None, false));
        let until = waits.asked(EACH);
        assert_eq!(*seen.borrow_and_update(), Some(until));
        assert!(waits.left().is_some_and(|left| left <= EACH));
        let until = waits.asked(Duration::from_millis(1));
        while Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(waits.left(), None);
    }
}
