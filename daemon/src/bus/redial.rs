//! When to dial again what did not answer. Pure: randomness is passed in.

use std::time::Duration;

/// First and longest wait between two dials; short, for doorbells are lost meanwhile.
const WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// Waits between dials: each twice as long as the last, spread so that many don't dial at once.
#[derive(Debug)]
pub(super) struct Redial {
    wait: Duration,
}

impl Default for Redial {
    fn default() -> Self {
        Self { wait: WAIT.0 }
    }
}

impl Redial {
    /// It worked: the next wait is the first again.
    pub(super) fn worked(&mut self) {
        *self = Self::default();
    }

    /// It failed: how long to wait, between half of this turn's time and all of it. `random` is from 0 to 1.
    pub(super) fn failed(&mut self, random: f64) -> Duration {
        let wait = self.wait.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        self.wait = (self.wait * 2).min(WAIT.1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_half_a_second_and_begin_again_once_it_worked() {
        let mut redial = Redial::default();
        let waits: Vec<u128> = (0..6).map(|_| redial.failed(1.0).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 500, 500]);
        assert_eq!(redial.failed(0.0).as_millis(), 250);
        redial.worked();
        assert_eq!(redial.failed(0.0).as_millis(), 25);
    }
}
