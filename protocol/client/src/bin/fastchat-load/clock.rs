//! The one clock that stamps what is sent and what arrives.

use std::time::{Duration, Instant};

/// Nanoseconds since the process began; sender and receiver share it, so a
/// difference is a latency.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock at 0.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Now, in ns.
    pub(crate) fn now_ns(self) -> u64 {
        ns(self.0.elapsed())
    }
}

/// A duration in ns; 584 years is the most.
pub(crate) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
