//! `random`: any server, with a chance in proportion to its weight.
//!
//! Theory: balls into bins. It keeps no state and needs no counts, so that any
//! number of balancers agree without a word; the price is spread: with n
//! clients on n servers the fullest has about ln n / ln ln n of them (M. Raab
//! and A. Steger, "Balls into Bins: A Simple and Tight Analysis", 1998), with
//! many clients m about m/n + sqrt(2 (m/n) ln n).
//!
//! Source: a number drawn from the sum of the weights, and a walk to where it
//! falls (roulette-wheel selection), one draw for each pick.

use super::{Candidate, Entry, Scene, ServerIndex, Strategy, StrategyInfo};
use rand::{Rng, RngExt};

pub(super) const ENTRY: Entry = Entry {
    info: StrategyInfo {
        name: "random",
        summary: "any server, with a chance in proportion to its weight",
        parameters: &[],
    },
    build: |_| Box::new(Random),
};

/// Keeps no state.
#[derive(Debug)]
struct Random;

impl Strategy for Random {
    fn pick(&mut self, scene: &Scene<'_>, rng: &mut dyn Rng) -> Option<ServerIndex> {
        let sum = scene.candidates.iter().map(|candidate| candidate.weight).sum();
        draw(scene.candidates.iter(), sum, rng).map(|candidate| candidate.index)
    }
}

/// One of them by weight, where `sum` is their weights'.
pub(super) fn draw<'a>(candidates: impl Iterator<Item = &'a Candidate>, sum: f64, rng: &mut dyn Rng) -> Option<&'a Candidate> {
    let mut rest = rng.random::<f64>() * sum;
    let mut last = None;
    for candidate in candidates {
        rest -= candidate.weight;
        if rest < 0.0 {
            return Some(candidate);
        }
        last = Some(candidate);
    }
    // Rounding may leave a hair's breadth behind the last one.
    last
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{candidates, counts},
        *,
    };
    use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Each count is binomial: six standard deviations fail once in 10^8 tries.
        #[test]
        fn each_server_gets_its_weights_share_of_the_picks(
            weights in proptest::collection::vec(1..10u32, 1..8),
            seed in any::<u64>(),
        ) {
            let mut servers = candidates(&vec![0; weights.len()]);
            for (server, weight) in servers.iter_mut().zip(&weights) {
                server.weight = f64::from(*weight);
            }
            let picks = 4_000;
            let sum: f64 = servers.iter().map(|server| server.weight).sum();
            for (server, count) in servers.iter().zip(counts(&mut Random, &servers, picks, seed)) {
                let chance = server.weight / sum;
                let expected = f64::from(picks) * chance;
                let deviation = (expected * (1.0 - chance)).sqrt();
                prop_assert!((f64::from(count) - expected).abs() <= 6.0 * deviation + 1e-6, "{count} of {expected}");
            }
        }
    }
}
