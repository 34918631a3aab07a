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

use super::{Candidate, ServerIndex, Strategy};
use rand::{Rng, RngExt};

/// Keeps no state.
#[derive(Debug)]
pub(super) struct Random;

impl Strategy for Random {
    fn pick(&mut self, candidates: &[Candidate], _hint: Option<&str>, rng: &mut dyn Rng) -> Option<ServerIndex> {
        let sum: f64 = candidates.iter().map(|candidate| candidate.weight).sum();
        let mut rest = rng.random::<f64>() * sum;
        candidates
            .iter()
            .find(|candidate| {
                rest -= candidate.weight;
                rest < 0.0
            })
            // Rounding may leave a hair's breadth behind the last one.
            .or(candidates.last())
            .map(|candidate| candidate.index)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::candidates, Strategy, *};
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn counts(servers: &[Candidate], picks: u32, seed: u64) -> Vec<u32> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut counts = vec![0; servers.len()];
        for _ in 0..picks {
            counts[Random.pick(servers, None, &mut rng).unwrap().0 as usize] += 1;
        }
        counts
    }

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
            for (server, count) in servers.iter().zip(counts(&servers, picks, seed)) {
                let chance = server.weight / sum;
                let expected = f64::from(picks) * chance;
                let deviation = (expected * (1.0 - chance)).sqrt();
                prop_assert!((f64::from(count) - expected).abs() <= 6.0 * deviation + 1e-6, "{count} of {expected}");
            }
        }
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let servers = candidates(&[0; 5]);
        assert_eq!(counts(&servers, 100, 42), counts(&servers, 100, 42));
        assert_ne!(counts(&servers, 100, 42), counts(&servers, 100, 43));
    }
}
