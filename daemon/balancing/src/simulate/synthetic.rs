//! Synthetic churn: clients as a crowd has them.
//!
//! They come by themselves (a Poisson process) and stay for lognormal times,
//! as people's sessions do: most short, a few very long. The first ones are
//! there from the beginning, as many as there will be on average (Little's law).

use super::trace::{Event, Line, Trace};
use crate::WEIGHTS;
use fastchat_wire::control::Fault;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Deserialize;

/// Spread of the stays: the middle half is between half and twice the median.
const STAY_SIGMA: f64 = 1.0;
/// Clients of a dead server are back within this time.
const BACK_MS: u64 = 2_000;
/// It comes back itself after this time.
const REBORN_MS: u64 = 10_000;

/// Longest time: a year.
const FOR_S_MAX: f64 = 31_557_600.0;
/// Most servers.
const SERVERS_MAX: usize = 1_000;

/// What kind of crowd.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Churn {
    /// Weights of the servers.
    pub weights: Vec<f64>,
    /// Clients that come in a second, on average.
    pub clients_per_s: f64,
    /// How long one stays on average, s.
    pub stay_s: f64,
    /// How long all of it takes, s.
    pub for_s: f64,
    /// The first server dies so many seconds from the beginning, and is back after 10 s.
    pub dies_at_s: Option<f64>,
    /// Part of the clients that have a hint, 0 to 1.
    pub hinted: f64,
}

impl Default for Churn {
    fn default() -> Self {
        Self {
            weights: vec![1.0; 3],
            clients_per_s: 10.0,
            stay_s: 120.0,
            for_s: 600.0,
            dies_at_s: None,
            hinted: 0.0,
        }
    }
}

impl Churn {
    /// Says whether it can be, with at most so many clients in all.
    ///
    /// # Errors
    /// The field that can't be, and what would be right.
    pub fn check(&self, clients_max: u32) -> Result<(), Fault> {
        let fault = |field: &str, detail: String| {
            let pointer = format!("/{field}");
            Err(Fault { pointer, detail })
        };
        if self.weights.is_empty() || self.weights.len() > SERVERS_MAX {
            return fault(
                "weights",
                format!("there are 1 to {SERVERS_MAX} servers, not {}", self.weights.len()),
            );
        }
        if let Some(wrong) = self.weights.iter().find(|weight| !WEIGHTS.contains(weight)) {
            let (min, max) = (WEIGHTS.start(), WEIGHTS.end());
            return fault("weights", format!("a weight is a number from {min} to {max}, not {wrong}"));
        }
        let positive = [
            ("clients_per_s", self.clients_per_s),
            ("stay_s", self.stay_s),
            ("for_s", self.for_s),
        ];
        if let Some((field, value)) = positive.iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
            return fault(field, format!("{field} is a number above 0, not {value}"));
        }
        let clients = self.clients_per_s * (self.stay_s + self.for_s);
        if clients > f64::from(clients_max) {
            let detail = format!("that are {clients:.0} clients in all, and {clients_max} at most: less for_s, stay_s or clients_per_s");
            return fault("clients_per_s", detail);
        }
        if self.for_s > FOR_S_MAX {
            return fault("for_s", format!("for_s is at most {FOR_S_MAX}, not {}", self.for_s));
        }
        if self.dies_at_s.is_some_and(|at| !(0.0..self.for_s).contains(&at)) {
            return fault("dies_at_s", format!("dies_at_s lies between 0 and for_s, which is {}", self.for_s));
        }
        if !(0.0..=1.0).contains(&self.hinted) {
            return fault("hinted", format!("hinted is a number from 0 to 1, not {}", self.hinted));
        }
        Ok(())
    }

    /// A trace of it. One seed gives one trace.
    #[must_use]
    pub fn trace(&self, seed: u64) -> Trace {
        let mut rng = StdRng::seed_from_u64(seed);
        let end = ms(self.for_s);
        let mut lines: Vec<_> = (1..)
            .zip(&self.weights)
            .map(|(nth, weight)| Line {
                at_ms: 0,
                event: Event::Up {
                    server: format!("s{nth}"),
                    weight: *weight,
                    clients: 0,
                },
            })
            .collect();
        let first = (self.clients_per_s * self.stay_s) as u64;
        let mut client = 0;
        let mut at_s = 0.0;
        loop {
            client += 1;
            if client > first {
                at_s -= unit(&mut rng).ln() / self.clients_per_s;
            }
            if ms(at_s) > end {
                break;
            }
            let hint = rng.random_bool(self.hinted).then(|| format!("client-{client}"));
            lines.push(Line {
                at_ms: ms(at_s),
                event: Event::Arrive {
                    client: Some(client),
                    hint,
                },
            });
            let leaves = ms(at_s + self.stay(&mut rng));
            if leaves <= end {
                let client = Some(client);
                lines.push(Line {
                    at_ms: leaves,
                    event: Event::Depart { client },
                });
            }
        }
        if let Some(dies) = self.dies_at_s.map(ms)
            && let Some(weight) = self.weights.first()
        {
            let server = "s1".to_owned();
            lines.push(Line {
                at_ms: dies,
                event: Event::Down {
                    server: server.clone(),
                    back_within_ms: Some(BACK_MS),
                },
            });
            lines.push(Line {
                at_ms: dies + REBORN_MS,
                event: Event::Up {
                    server,
                    weight: *weight,
                    clients: 0,
                },
            });
        }
        // Stable: a client who comes and goes within one ms does so in this order.
        lines.sort_by_key(|line| line.at_ms);
        Trace::of(lines)
    }

    /// One stay in s: lognormal, of the given mean (Box and Muller, 1958).
    fn stay(&self, rng: &mut StdRng) -> f64 {
        let normal = (-2.0 * unit(rng).ln()).sqrt() * (std::f64::consts::TAU * unit(rng)).cos();
        let median = self.stay_s / (STAY_SIGMA * STAY_SIGMA / 2.0).exp();
        median * (STAY_SIGMA * normal).exp()
    }
}

/// Above 0, at most 1.
fn unit(rng: &mut StdRng) -> f64 {
    1.0 - rng.random::<f64>()
}

fn ms(s: f64) -> u64 {
    (s * 1e3) as u64
}
