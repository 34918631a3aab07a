//! Synthetic churn: clients as a crowd has them.
//!
//! They come by themselves (a Poisson process) and stay for lognormal times,
//! as people's sessions do: most short, a few very long. The first ones are
//! there from the beginning, as many as there will be on average (Little's law).

use super::trace::{Event, Line, Trace};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Spread of the stays: the middle half is between half and twice the median.
const STAY_SIGMA: f64 = 1.0;
/// Clients of a dead server are back within this time.
const BACK_MS: u64 = 2_000;
/// It comes back itself after this time.
const REBORN_MS: u64 = 10_000;

/// What kind of crowd.
#[derive(Debug, Clone, PartialEq)]
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

impl Churn {
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
