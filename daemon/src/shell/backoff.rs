//! Waiting between attempts: doubling, with jitter, bounded. Pure: the caller draws the random number.

use std::time::Duration;

/// First wait.
const WAIT_MS_MIN: u64 = 100;
/// Longest wait: well within the silence after which a process counts as lost.
const WAIT_MS_MAX: u64 = 2_000;

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure; `random` is from [0, 1).
    ///
    /// Half of it is fixed and half random, so that a fleet doesn't come back in step.
    pub(super) fn failed(&mut self, random: f64) -> Duration {
        let whole = WAIT_MS_MIN.saturating_mul(1 << self.failures.min(10)).min(WAIT_MS_MAX);
        self.failures = self.failures.saturating_add(1);
        Duration::from_millis(whole).mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// It worked: the next failure is the first one again.
    pub(super) fn worked(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_start_again_after_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..7).map(|_| backoff.failed(1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 2_000, 2_000]);
        backoff.worked();
        assert_eq!(backoff.failed(0.0).as_millis(), 50, "half of it is jitter");
    }
}
