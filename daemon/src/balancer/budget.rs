//! What each server takes in arrivals: who is beyond it is told when to come.
//!
//! The generic cell rate algorithm (ITU-T I.371), which here gives each client
//! the first moment that conforms instead of a refusal. Two budgets for each
//! server, so that resumes, which are cheap, do not wait behind sign-ins. The
//! balancers divide a server's rate: each gives out its part, whatever the
//! others do, so that all of them together never exceed the whole.
//!
//! Pure: the caller brings the time (ms of a clock that never goes back).
//!
//! Invariant: in any time t, at most rate · t + burst clients are told to come; clients
//! are told whole ms, so for those t is a ms longer.

mod left;

use fastchat_balancing::strategy::ServerIndex;
use fastchat_wire::control::limits::{Rate, ServerLimits};
use std::collections::HashMap;

/// Nobody waits longer; whoever would have to is refused, and asks again later (ms).
pub(super) const WAIT_MS_MAX: u64 = 60_000;
const NS_PER_MS: u64 = 1_000_000;

/// How costly an arrival is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// With a session's token.
    Resume,
    /// Without one.
    SignIn,
}

/// The budget is used up for longer than anybody waits; ask again after so many ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UsedUp {
    pub(super) retry_after_ms: u64,
}

/// One class's figures, as this balancer divides them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cells {
    /// Between two of them in the long run (ns).
    interval: u64,
    /// How much earlier than in the long run they may come (ns).
    tolerance: u64,
}

impl Cells {
    /// `None` where there is no limit.
    fn new(rate: Rate, balancers: u32) -> Option<Self> {
        let balancers = f64::from(balancers.max(1));
        let per_s = rate.per_s / balancers;
        // The control plane refuses rates that make no sense; to a broken spec there is no limit.
        if !(per_s.is_finite() && per_s > 0.0) {
            return None;
        }
        // As casts of floats do, both saturate.
        let interval = (1e9 / per_s).ceil() as u64;
        let burst = (f64::from(rate.burst) / balancers).floor().max(1.0) as u64;
        Some(Self {
            interval: interval.max(1),
            tolerance: interval.saturating_mul(burst - 1),
        })
    }
}

/// What each server takes in arrivals, as one balancer gives it out.
#[derive(Debug)]
pub(super) struct Budgets {
    resumes: Option<Cells>,
    sign_ins: Option<Cells>,
    /// When the next client would be due in the long run (ns); none where that is over.
    due: HashMap<(ServerIndex, Class), u64>,
}

impl Budgets {
    /// Full ones; `balancers` divide them.
    pub(super) fn new(limits: &ServerLimits, balancers: u32) -> Self {
        Self {
            resumes: Cells::new(limits.resumes, balancers),
            sign_ins: Cells::new(limits.sign_ins, balancers),
            due: HashMap::new(),
        }
    }

    /// Other figures; what was given out stays given out.
    pub(super) fn apply(&mut self, limits: &ServerLimits, balancers: u32) {
        let due = std::mem::take(&mut self.due);
        *self = Self {
            due,
            ..Self::new(limits, balancers)
        };
    }

    /// A class's figures; `None` where there is no limit.
    fn cells(&self, class: Class) -> Option<Cells> {
        match class {
            Class::Resume => self.resumes,
            Class::SignIn => self.sign_ins,
        }
    }

    /// Gives out the next moment for a client to come to that server: how long it waits (ms).
    ///
    /// # Errors
    /// There is none within [`WAIT_MS_MAX`]; nothing was given out.
    pub(super) fn book(&mut self, server: ServerIndex, class: Class, now: u64) -> Result<u64, UsedUp> {
        let Some(Cells { interval, tolerance }) = self.cells(class) else {
            return Ok(0);
        };
        let now = now.saturating_mul(NS_PER_MS);
        let due = self.due.get(&(server, class)).copied().unwrap_or(0);
        let moment = due.saturating_sub(tolerance).max(now);
        let wait = (moment - now).div_ceil(NS_PER_MS);
        if wait > WAIT_MS_MAX {
            return Err(UsedUp {
                retry_after_ms: wait - WAIT_MS_MAX,
            });
        }
        self.due.insert((server, class), due.max(moment).saturating_add(interval));
        Ok(wait)
    }

    /// Forgets budgets that are full again.
    pub(super) fn sweep(&mut self, now: u64) {
        let now = now.saturating_mul(NS_PER_MS);
        self.due.retain(|_, due| *due > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S1: ServerIndex = ServerIndex(1);

    fn limits(per_s: f64, burst: u32) -> ServerLimits {
        ServerLimits {
            resumes: Rate { per_s, burst },
            sign_ins: Rate { per_s, burst },
            ..ServerLimits::default()
        }
    }

    #[test]
    fn the_burst_comes_at_once_and_the_rest_one_after_the_other() {
        let mut budgets = Budgets::new(&limits(100.0, 3), 1);
        let waits: Vec<_> = (0..6).map(|_| budgets.book(S1, Class::Resume, 0).unwrap()).collect();
        assert_eq!(waits, [0, 0, 0, 10, 20, 30]);
        assert_eq!(budgets.book(S1, Class::SignIn, 0), Ok(0), "a budget of its own");
        assert_eq!(budgets.book(ServerIndex(2), Class::Resume, 0), Ok(0), "and one for each server");
        assert_eq!(budgets.book(S1, Class::Resume, 1_000), Ok(0));
    }

    #[test]
    fn who_would_wait_too_long_is_refused_and_takes_nothing() {
        let mut budgets = Budgets::new(&limits(0.1, 1), 1);
        let waits: Vec<_> = (0..7).map(|_| budgets.book(S1, Class::SignIn, 0).unwrap()).collect();
        assert_eq!(waits, [0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
        let refused = UsedUp { retry_after_ms: 10_000 };
        assert_eq!(budgets.book(S1, Class::SignIn, 0), Err(refused));
        assert_eq!(budgets.book(S1, Class::SignIn, 0), Err(refused));
        assert_eq!(
            budgets.book(S1, Class::SignIn, 10_000),
            Ok(60_000),
            "it asked again when it was told to"
        );
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let mut budgets = Budgets::new(&limits(0.0, 1), 1);
        assert!((0..1_000).all(|_| budgets.book(S1, Class::SignIn, 0) == Ok(0)));
    }

    #[test]
    fn other_figures_give_nothing_out_twice_and_full_budgets_are_forgotten() {
        let mut budgets = Budgets::new(&limits(10.0, 1), 1);
        assert_eq!(budgets.book(S1, Class::Resume, 0), Ok(0));
        budgets.apply(&limits(100.0, 1), 1);
        assert_eq!(budgets.book(S1, Class::Resume, 0), Ok(100));
        budgets.sweep(109);
        assert_eq!(budgets.due.len(), 1);
        budgets.sweep(110);
        assert_eq!(budgets.due.len(), 0);
    }

    proptest! {
        /// Whatever comes when: in any time t at most rate · t + burst are told to come, over all balancers.
        #[test]
        fn no_window_ever_holds_more_than_the_rate_and_the_burst(
            gaps in proptest::collection::vec(0_u64..30, 1..200),
            per_s in 1.0_f64..2_000.0,
            burst in 1_u32..50,
            balancers in 1_u32..4,
        ) {
            let mut all: Vec<_> = (0..balancers).map(|_| Budgets::new(&limits(per_s, burst), balancers)).collect();
            let (mut now, mut moments) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                for budgets in &mut all {
                    if let Ok(wait) = budgets.book(S1, Class::Resume, now) {
                        moments.push(now + wait);
                    }
                }
            }
            moments.sort_unstable();
            // Each has one at least, however many divide the burst.
            let burst = f64::from(burst.max(balancers));
            for (first, start) in moments.iter().enumerate() {
                for (last, end) in moments.iter().enumerate().skip(first) {
                    let most = per_s * (end - start + 1) as f64 / 1e3 + burst;
                    let count = (last - first + 1) as f64;
                    prop_assert!(count <= most + 1e-6, "{count} in {} ms, {most} may be", end - start);
                }
            }
        }

        /// Nobody starves: who asks is told to come no later than behind all those who asked before.
        #[test]
        fn nobody_waits_longer_than_for_those_before(
            clients in 1_u64..500,
            per_s in 20.0_f64..2_000.0,
            burst in 1_u32..50,
        ) {
            let mut budgets = Budgets::new(&limits(per_s, burst), 1);
            for before in 0..clients {
                let wait = budgets.book(S1, Class::SignIn, 0).unwrap_or(WAIT_MS_MAX);
                let fair = (before.saturating_sub(u64::from(burst) - 1)) as f64 * 1e3 / per_s;
                prop_assert!(wait as f64 <= fair + 2.0, "{wait} ms after {before} others, {fair} is fair");
            }
        }
    }
}
