//! A strategy on trial: whether it may go on. Pure; times are ms of the registry's clock.
//!
//! ```text
//!  a spec with a trial ──> on trial ── the next generation (confirmed, or another one) ──> over
//!                             └── not confirmed in time, or the guard is breached ──> the former one
//! ```
//!
//! The deadline runs from when this balancer takes the strategy up, on a clock
//! that nobody sets. Only a balancer that starts in the middle of a trial has no
//! such time: it goes by the wall clock, and a clock that is wrong never gives
//! it more than the whole time again.

use fastchat_wire::control::{self, Balancing, Guard};

/// Answers are judged together, so many at least: one of a hundred may be slow.
const ANSWERS_MIN: u64 = 100;
/// Answers are judged together, for so long at least (ms).
const WINDOW_MS: u64 = 1_000;
/// Who joins or leaves makes the counts uneven; whatever stays uneven for so long is the strategy's doing (ms).
const UNEVEN_MS: u64 = 2_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Trial {
    former: Balancing,
    /// When it must have been confirmed.
    until: Option<u64>,
    guard: Guard,
    window: Window,
    uneven_since: Option<u64>,
}

/// Answers that are judged together.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    since: u64,
    answers: u64,
    slow: u64,
    refused: u64,
}

/// Why it may not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Breach {
    /// For metrics: one of [`CAUSES`].
    pub(super) cause: &'static str,
    /// For people.
    pub(super) reason: String,
}

/// Every cause there is.
pub(super) const CAUSES: [&str; 4] = ["unconfirmed", "imbalance", "assign-p99", "refusals"];

impl Trial {
    /// Begins at `now`; it was asked for `age_ms` ago, which is 0 for who learns of it as it is asked for.
    pub(super) fn new(trial: &control::Trial, now: u64, age_ms: u64) -> Self {
        let left = |within: u64| within.saturating_sub(age_ms);
        Self {
            former: trial.former.clone(),
            until: trial.within_ms.map(|within| now.saturating_add(left(within))),
            guard: trial.guard,
            window: Window {
                since: now,
                ..Window::default()
            },
            uneven_since: None,
        }
    }

    /// What comes back.
    pub(super) fn former(&self) -> &Balancing {
        &self.former
    }

    /// Until it must have been confirmed (ms); `None` without a deadline.
    pub(super) fn left_ms(&self, now: u64) -> Option<u64> {
        self.until.map(|until| until.saturating_sub(now))
    }

    /// One `assign` was answered; `refused` where there was no server to give.
    pub(super) fn answered(&mut self, took_ms: f64, refused: bool) {
        self.window.answers += 1;
        self.window.slow += u64::from(self.guard.max_assign_p99_ms.is_some_and(|max| took_ms > max));
        self.window.refused += u64::from(refused);
    }

    /// Why it may not go on at `now`, if it may not.
    pub(super) fn breach(&mut self, now: u64, imbalance: f64) -> Option<Breach> {
        if self.until.is_some_and(|until| now >= until) {
            return Some(Breach {
                cause: CAUSES[0],
                reason: "nobody confirmed it in time".to_owned(),
            });
        }
        self.uneven(now, imbalance).or_else(|| self.answers(now))
    }

    fn uneven(&mut self, now: u64, imbalance: f64) -> Option<Breach> {
        let Some(max) = self.guard.max_imbalance.filter(|max| imbalance > *max) else {
            self.uneven_since = None;
            return None;
        };
        let since = *self.uneven_since.get_or_insert(now);
        (now.saturating_sub(since) >= UNEVEN_MS).then(|| Breach {
            cause: CAUSES[1],
            reason: format!("the imbalance is {imbalance:.2}, and {max} was the most"),
        })
    }

    fn answers(&mut self, now: u64) -> Option<Breach> {
        let Window {
            since,
            answers,
            slow,
            refused,
        } = self.window;
        if now.saturating_sub(since) < WINDOW_MS || answers < ANSWERS_MIN {
            return None;
        }
        self.window = Window {
            since: now,
            ..Window::default()
        };
        if let Some(max) = self.guard.max_assign_p99_ms
            && slow.saturating_mul(100) > answers
        {
            return Some(Breach {
                cause: CAUSES[2],
                reason: format!("{slow} of {answers} assigns took longer than {max} ms, and 1 of 100 may"),
            });
        }
        let rate = refused as f64 / answers as f64;
        let max = self.guard.max_refusal_rate.filter(|max| rate > *max)?;
        Some(Breach {
            cause: CAUSES[3],
            reason: format!("{refused} of {answers} assigns found no server, and a part of {max} may"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(within_ms: Option<u64>, guard: Guard) -> control::Trial {
        control::Trial {
            former: Balancing {
                strategy: "least-load".into(),
                parameters: [].into(),
                generation: 1,
            },
            started_at: 0,
            within_ms,
            guard,
        }
    }

    fn cause(trial: &mut Trial, now: u64, imbalance: f64) -> Option<&'static str> {
        trial.breach(now, imbalance).map(|breach| breach.cause)
    }

    #[test]
    fn the_deadline_runs_from_when_it_is_taken_up_and_from_when_it_was_asked_for_after_a_restart() {
        let mut taken_up = Trial::new(&trial(Some(1_000), Guard::default()), 500, 0);
        assert_eq!(taken_up.left_ms(600), Some(900));
        assert_eq!(cause(&mut taken_up, 1_499, 0.0), None);
        assert_eq!(cause(&mut taken_up, 1_500, 0.0), Some("unconfirmed"));
        let mut restarted = Trial::new(&trial(Some(1_000), Guard::default()), 0, 999);
        assert_eq!(cause(&mut restarted, 0, 0.0), None);
        assert_eq!(cause(&mut restarted, 1, 0.0), Some("unconfirmed"));
        let mut late = Trial::new(&trial(Some(1_000), Guard::default()), 0, u64::MAX);
        assert_eq!(cause(&mut late, 0, 0.0), Some("unconfirmed"));
        let mut endless = Trial::new(&trial(None, Guard::default()), 0, u64::MAX);
        assert_eq!(endless.left_ms(0), None);
        assert_eq!(cause(&mut endless, u64::MAX, 9.0), None);
    }

    #[test]
    fn only_what_stays_uneven_is_a_breach() {
        let guard = Guard {
            max_imbalance: Some(0.5),
            ..Guard::default()
        };
        let mut watched = Trial::new(&trial(None, guard), 0, 0);
        assert_eq!(cause(&mut watched, 0, 0.6), None);
        assert_eq!(cause(&mut watched, 1_999, 0.6), None);
        assert_eq!(cause(&mut watched, 1_999, 0.5), None, "even again");
        assert_eq!(cause(&mut watched, 2_000, 0.6), None);
        assert_eq!(cause(&mut watched, 4_000, 0.6), Some("imbalance"));
    }

    #[test]
    fn one_slow_answer_of_a_hundred_may_be_and_two_may_not() {
        let guard = Guard {
            max_assign_p99_ms: Some(5.0),
            ..Guard::default()
        };
        for (slow, expected) in [(1, None), (2, Some("assign-p99"))] {
            let mut watched = Trial::new(&trial(None, guard), 0, 0);
            (0..100 - slow).for_each(|_| watched.answered(5.0, true));
            (0..slow).for_each(|_| watched.answered(5.1, true));
            assert_eq!(cause(&mut watched, 1_000, 0.0), expected);
        }
    }

    #[test]
    fn refusals_are_judged_over_enough_answers_and_enough_time() {
        let guard = Guard {
            max_refusal_rate: Some(0.1),
            ..Guard::default()
        };
        let mut watched = Trial::new(&trial(None, guard), 0, 0);
        (0..99).for_each(|_| watched.answered(0.0, true));
        assert_eq!(cause(&mut watched, 60_000, 0.0), None, "too few");
        watched.answered(0.0, true);
        assert_eq!(cause(&mut watched, 999, 0.0), None, "too soon");
        assert_eq!(cause(&mut watched, 1_000, 0.0), Some("refusals"));
        (0..90).for_each(|_| watched.answered(0.0, false));
        (0..10).for_each(|_| watched.answered(0.0, true));
        assert_eq!(cause(&mut watched, 2_000, 0.0), None, "a new window, and as many as may be");
    }
}
