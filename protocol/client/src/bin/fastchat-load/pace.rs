//! The open loop's clock: says when the next messages are due.
//!
//! The runtime's own timers are exact to a millisecond, as long as a whole
//! delivery takes: so a timer of the system's is used, exact to some 50 µs.

use crate::{clock::Clock, trouble::Trouble};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
use std::{io, os::fd::OwnedFd, time::Duration};
use tokio::io::unix::AsyncFd;

/// When messages are due: evenly spread, the n-th at start + n / rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    start_ns: u64,
    /// Messages per second.
    rate: f64,
}

impl Schedule {
    /// A schedule that begins now.
    pub(crate) fn new(start_ns: u64, rate: f64) -> Self {
        Self { start_ns, rate }
    }

    /// When the n-th message is to be sent.
    pub(crate) fn due_ns(&self, n: u64) -> u64 {
        self.start_ns + (n as f64 * 1e9 / self.rate) as u64
    }
}

/// Waits exactly.
#[derive(Debug)]
pub(crate) struct Pacer {
    timer: AsyncFd<OwnedFd>,
    clock: Clock,
}

impl Pacer {
    /// A timer of the system's.
    ///
    /// # Errors
    /// The system has none to give.
    pub(crate) fn new(clock: Clock) -> Result<Self, Trouble> {
        let made = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC);
        #[expect(
            deprecated,
            reason = "its successor is unsafe to call, which is forbidden here; an OwnedFd keeps what that asks for"
        )]
        let made = made.map_err(io::Error::from).and_then(AsyncFd::new);
        let timer = made.map_err(|error| Trouble::Failed(format!("can't make a timer: {error}")))?;
        Ok(Self { timer, clock })
    }

    /// Waits until a time of the clock; how late it is is for the caller to see.
    ///
    /// # Errors
    /// The timer fails.
    pub(crate) async fn until(&self, due_ns: u64) -> Result<(), Trouble> {
        let wait = due_ns.saturating_sub(self.clock.now_ns());
        if wait == 0 {
            // Whoever is behind its time still lets others go on.
            tokio::task::coop::consume_budget().await;
            return Ok(());
        }
        self.wait(Duration::from_nanos(wait))
            .await
            .map_err(|error| Trouble::Failed(format!("a timer failed: {error}")))
    }

    async fn wait(&self, wait: Duration) -> io::Result<()> {
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: wait.as_secs().cast_signed(),
                tv_nsec: wait.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.timer.readable().await?;
            let mut expirations = [0; 8];
            match ready.try_io(|timer| Ok(rustix::io::read(timer, &mut expirations)?)) {
                Ok(read) => return read.map(|_| ()),
                Err(_would_block) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_spread_evenly_and_do_not_drift() {
        let schedule = Schedule::new(500, 3_000.0);
        assert_eq!(schedule.due_ns(0), 500);
        assert_eq!(schedule.due_ns(3), 1_000_500);
        assert_eq!(schedule.due_ns(3_000_000), 1_000_000_000_500);
    }

    #[tokio::test]
    async fn it_does_not_wake_early() {
        let clock = Clock::start();
        let pacer = Pacer::new(clock).unwrap();
        let due = clock.now_ns() + 2_000_000;
        pacer.until(due).await.unwrap();
        assert!(clock.now_ns() >= due);
        pacer.until(due).await.unwrap();
    }
}
