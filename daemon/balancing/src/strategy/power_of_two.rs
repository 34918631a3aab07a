//! `power-of-two`: the emptier of two servers drawn at random.
//!
//! Theory: with n clients on n servers the fullest has about ln ln n / ln 2 of
//! them, where one draw gives ln n / ln ln n and a third draw gains next to
//! nothing (Y. Azar, A. Broder, A. Karlin and E. Upfal, "Balanced Allocations",
//! SIAM Journal on Computing 29, 1999; M. Mitzenmacher, "The Power of Two
//! Choices in Randomized Load Balancing", 1996). With m > n clients the fullest
//! is ahead of the mean by the same ln ln n / ln 2, whatever m is (P. Berenbrink
//! and others, "Balanced Allocations: The Heavily Loaded Case", 2000).
//!
//! Where counts are stale it beats `least-load`: a server that looks emptiest
//! is drawn only 2/n of the time, so that it isn't run over before its count is
//! heard. That is for many balancers at once.
//!
//! Two different servers are drawn, each with a chance in proportion to its
//! weight, and compared by clients for their weight.

use super::{Entry, Scene, ServerIndex, Strategy, StrategyInfo, least_load::share, random::draw};
use rand::Rng;

pub(super) const ENTRY: Entry = Entry {
    info: StrategyInfo {
        name: "power-of-two",
        summary: "the emptier of two servers drawn at random by weight: for many balancers at once",
        parameters: &[],
    },
    build: |_| Box::new(PowerOfTwo),
};

/// Keeps no state.
#[derive(Debug)]
struct PowerOfTwo;

impl Strategy for PowerOfTwo {
    fn pick(&mut self, scene: &Scene<'_>, rng: &mut dyn Rng) -> Option<ServerIndex> {
        let sum: f64 = scene.candidates.iter().map(|candidate| candidate.weight).sum();
        let first = draw(scene.candidates.iter(), sum, rng)?;
        let others = scene.candidates.iter().filter(|candidate| candidate.index != first.index);
        let picked = match draw(others, sum - first.weight, rng) {
            Some(second) if share(second) < share(first) => second,
            _ => first,
        };
        Some(picked.index)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{candidates, counts, fits, scene},
        *,
    };
    use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn the_fullest_server_is_never_picked() {
        assert_eq!(counts(&mut PowerOfTwo, &candidates(&[4, 3, 5]), 1_000, 1)[2], 0);
    }

    #[test]
    fn of_servers_with_other_counts_each_is_picked_as_often_as_it_wins() {
        // The k-th emptiest of n wins against n - k of the n (n - 1) / 2 pairs.
        let counts = counts(&mut PowerOfTwo, &candidates(&[0, 1, 2, 3, 4]), 10_000, 2);
        assert!(fits(&counts[..4], &[0.4, 0.3, 0.2, 0.1]), "{counts:?}");
    }

    #[test]
    fn equals_are_picked_equally_often() {
        let counts = counts(&mut PowerOfTwo, &candidates(&[7; 10]), 10_000, 3);
        assert!(fits(&counts, &[0.1; 10]), "{counts:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// ln ln n / ln 2 is below 2 for 32 servers; the bound has room for its constant.
        #[test]
        fn the_fullest_is_ahead_of_the_mean_by_a_few_however_many_clients_come(seed in any::<u64>(), clients in 1..3_000u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut servers = candidates(&[0; 32]);
            for _ in 0..clients {
                let picked = PowerOfTwo.pick(&scene(&servers), &mut rng).unwrap();
                servers[picked.0 as usize].clients += 1;
            }
            let fullest = servers.iter().map(|server| server.clients).max().unwrap();
            prop_assert!(fullest <= clients / 32 + 6, "{fullest} of {clients}");
        }

        #[test]
        fn with_arrivals_only_weights_share_the_clients(seed in any::<u64>()) {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut servers = candidates(&[0; 4]);
            servers[0].weight = 5.0;
            for _ in 0..4_000 {
                let picked = PowerOfTwo.pick(&scene(&servers), &mut rng).unwrap();
                servers[picked.0 as usize].clients += 1;
            }
            for server in &servers {
                prop_assert!((share(server) - 500.0).abs() <= 25.0, "{servers:?}");
            }
        }
    }
}
