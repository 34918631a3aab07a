//! A strategy on trial: what it has to keep to, and what comes back otherwise.
//!
//! Balancers watch it by themselves: they return to the former strategy when
//! nobody confirms in time or the guard is breached, whether the control plane
//! is there or not.

use super::{Balancing, Fault};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// A strategy that stands only once it is confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What comes back; the last one that stood.
    pub former: Balancing,
    /// When it was asked for, ms since the Unix epoch: where a balancer that starts in the middle of it counts from.
    pub started_at: u64,
    /// It must be confirmed in this time, which runs from when a balancer takes it up (ms); `None`: no deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<u64>,
    /// What it has to keep to.
    #[serde(default)]
    pub guard: Guard,
}

/// What a strategy on trial has to keep to; what is not set is not watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// How far the fullest server may be above its fair share, as a part of that share; one client is no imbalance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_imbalance: Option<f64>,
    /// One assign of a hundred may take longer (ms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_assign_p99_ms: Option<f64>,
    /// How many of the assigns may find no server, as a part of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_refusal_rate: Option<f64>,
}

/// Ranges of a guard's figures, by name.
const RANGES: [(&str, RangeInclusive<f64>); 3] = [
    ("max_imbalance", 0.01..=1_000.0),
    ("max_assign_p99_ms", 0.01..=60_000.0),
    ("max_refusal_rate", 0.0..=1.0),
];

impl Guard {
    /// True where nothing is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks what types don't; `at` is where the guard stands in its document.
    ///
    /// # Errors
    /// Every figure outside its range.
    pub fn check(&self, at: &str) -> Result<(), Vec<Fault>> {
        let given = [self.max_imbalance, self.max_assign_p99_ms, self.max_refusal_rate];
        let faults: Vec<_> = RANGES
            .iter()
            .zip(given)
            .filter_map(|((name, range), given)| {
                let given = given.filter(|given| !range.contains(given))?;
                Some(Fault {
                    pointer: format!("{at}/{name}"),
                    detail: format!("{name} is a number from {} to {}, not {given}", range.start(), range.end()),
                })
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// A balancer went back to the former strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverted {
    /// Generation of the balancing document that it gave up.
    pub generation: u64,
    /// Why, for people.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(guard: Guard) -> Vec<String> {
        let faults = guard.check("/guard").err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn a_guard_keeps_to_its_ranges_both_ends_included() {
        let of = |imbalance, p99, refusals| Guard {
            max_imbalance: Some(imbalance),
            max_assign_p99_ms: Some(p99),
            max_refusal_rate: Some(refusals),
        };
        assert_eq!(pointers(Guard::default()), [""; 0]);
        assert_eq!(pointers(of(0.01, 0.01, 0.0)), [""; 0]);
        assert_eq!(pointers(of(1_000.0, 60_000.0, 1.0)), [""; 0]);
        let all = ["/guard/max_imbalance", "/guard/max_assign_p99_ms", "/guard/max_refusal_rate"];
        assert_eq!(pointers(of(0.0, 0.0, -0.1)), all);
        assert_eq!(pointers(of(1_000.1, 60_000.1, 1.1)), all);
        assert_eq!(pointers(of(f64::NAN, f64::NAN, f64::NAN)), all);
    }
}
