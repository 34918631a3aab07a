//! Which balancer next, and after how long. Pure: randomness is passed in.

use crate::config::Timing;
use std::time::Duration;

/// The way back to a server after failures.
///
/// ```text
///  balancer 1 ─failed─> balancer 2 ─failed─> pause ─> balancer 1 ─> … pauses double, up to the longest
///      └── arrived, and stayed ──> the next loss begins anew, without a pause
/// ```
#[derive(Debug, Clone)]
pub(crate) struct Course {
    balancers: usize,
    next: usize,
    /// Balancers that failed in this round.
    failed: usize,
    /// Rounds in which all failed.
    rounds: u32,
}

impl Course {
    /// Begins at a balancer that `spread` (0 to 1) picks, so that a fleet's clients don't all begin at the first.
    pub(crate) fn new(balancers: usize, spread: f64) -> Self {
        let balancers = balancers.max(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a few balancers, and clamped"
        )]
        let next = ((spread.clamp(0.0, 1.0) * balancers as f64) as usize).min(balancers - 1);
        Self {
            balancers,
            next,
            failed: 0,
            rounds: 0,
        }
    }

    /// The balancer to ask now.
    pub(crate) fn balancer(&self) -> usize {
        self.next
    }

    /// Rounds in which all balancers failed.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds
    }

    /// It failed: how long to wait before the next balancer. `retry_after` is
    /// waited for in full; `jitter` is 0 to 1.
    pub(crate) fn failed(&mut self, timing: &Timing, retry_after: Option<Duration>, jitter: f64) -> Duration {
        self.next = (self.next + 1) % self.balancers;
        self.failed += 1;
        if self.failed < self.balancers && retry_after.is_none() {
            return Duration::ZERO;
        }
        self.failed = 0;
        self.rounds = self.rounds.saturating_add(1);
        retry_after.unwrap_or_default() + backoff(timing, self.rounds, jitter)
    }

    /// A connection was lost that had lived so long: how long to wait. `jitter` is 0 to 1.
    pub(crate) fn lost(&mut self, timing: &Timing, lived: Duration, jitter: f64) -> Duration {
        self.failed = 0;
        if lived >= timing.settled {
            self.rounds = 0;
            return timing.scatter.mul_f64(jitter.clamp(0.0, 1.0));
        }
        self.rounds = self.rounds.saturating_add(1);
        backoff(timing, self.rounds, jitter)
    }
}

/// The pause after so many failures: doubling, half of it random.
pub(crate) fn backoff(timing: &Timing, failures: u32, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = timing.backoff_min.saturating_mul(1 << doublings).min(timing.backoff_max);
    full / 2 + (full / 2).mul_f64(jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing() -> Timing {
        Timing {
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(1),
            settled: Duration::from_secs(10),
            ..Timing::default()
        }
    }

    #[test]
    fn every_balancer_is_asked_before_a_pause() {
        let mut course = Course::new(3, 0.99);
        assert_eq!(course.balancer(), 2);
        assert_eq!(course.failed(&timing(), None, 1.0), Duration::ZERO);
        assert_eq!(course.balancer(), 0);
        assert_eq!(course.failed(&timing(), None, 1.0), Duration::ZERO);
        assert_eq!(course.balancer(), 1);
        assert_eq!(course.failed(&timing(), None, 1.0), Duration::from_millis(100));
        assert_eq!(course.balancer(), 2);
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_half_random() {
        let mut course = Course::new(1, 0.0);
        let pauses: Vec<u128> = (0..6).map(|_| course.failed(&timing(), None, 1.0).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(course.failed(&timing(), None, 0.0).as_millis(), 500);
    }

    #[test]
    fn retry_after_is_waited_for_in_full() {
        let mut course = Course::new(2, 0.0);
        let pause = course.failed(&timing(), Some(Duration::from_secs(7)), 0.0);
        assert!(pause >= Duration::from_secs(7), "{pause:?}");
    }

    #[test]
    fn a_loss_after_a_good_while_is_mended_at_a_random_moment_soon_and_an_early_one_is_backed_off_from() {
        let mut course = Course::new(1, 0.0);
        course.failed(&timing(), None, 0.0);
        assert!(course.lost(&timing(), Duration::from_millis(1), 0.0) >= Duration::from_millis(100));
        let settled = |course: &mut Course, jitter| course.lost(&timing(), Duration::from_secs(10), jitter);
        assert_eq!(settled(&mut course, 0.0), Duration::ZERO);
        assert_eq!(settled(&mut course, 0.5), timing().scatter / 2);
        assert_eq!(settled(&mut course, 1.0), timing().scatter);
        assert_eq!(course.rounds(), 0);
    }
}
