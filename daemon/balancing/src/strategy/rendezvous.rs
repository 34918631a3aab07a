//! `rendezvous`: the same server for the same hint, as long as it is there.
//!
//! Theory: rendezvous or highest-random-weight hashing (D. Thaler and
//! C. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", IEEE/ACM
//! Transactions on Networking 6, 1998). Each server has a number for each hint,
//! and the best number wins. So when a server goes, only its clients move, to
//! where their next best number is; when one comes, it gets its share of each
//! of the others and nobody else moves. Weights by the logarithmic method
//! (C. Schindelhauer and G. Schomaker, "Weighted Distributed Hash Tables",
//! SPAA 2005): with h in (0, 1) the hash of hint and server, the server with the
//! smallest -ln(h) / weight, which is a race of exponential clocks, won with a
//! chance in proportion to the weight. A weight that grows only wins clients,
//! one that shrinks only loses them.
//!
//! The hash is of names, so that all balancers agree without a word, and so
//! does one that was restarted. Hints are the clients' own: someone who tries
//! hints can have any server, as he could by dialling it. A server that is full
//! is no candidate, which bounds what a popular hint can do to it; its clients
//! go to their next best, and back when there is room again.
//!
//! A client without a hint doesn't care: it goes where most room is, as
//! `least-load` would send it, and so evens out what the hints made uneven.

use super::{Candidate, Entry, Scene, ServerIndex, Strategy, StrategyInfo, least_load::by_load};
use crate::hash;
use rand::Rng;

pub(super) const ENTRY: Entry = Entry {
    info: StrategyInfo {
        name: "rendezvous",
        summary: "the same server for the same hint while it is there; without a hint as least-load",
        parameters: &[],
    },
    build: |_| Box::new(Rendezvous),
};

/// Keeps no state.
#[derive(Debug)]
struct Rendezvous;

impl Strategy for Rendezvous {
    fn pick(&mut self, scene: &Scene<'_>, _rng: &mut dyn Rng) -> Option<ServerIndex> {
        let Some(hint) = scene.hint else {
            return scene
                .candidates
                .iter()
                .min_by(|a, b| by_load(a, b))
                .map(|candidate| candidate.index);
        };
        let hint = hash::text(hint);
        let arrives_at = |candidate: &Candidate| -hash::unit(hash::pair(hint, candidate.name_hash)).ln() / candidate.weight;
        scene
            .candidates
            .iter()
            .map(|candidate| (arrives_at(candidate), candidate.index))
            .min_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, index)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{candidates, counts, fits, scene},
        *,
    };
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use rand::{SeedableRng, rngs::StdRng};

    const HINTS: u32 = 6_000;

    fn pick(servers: &[Candidate], hint: u32) -> u32 {
        let hint = format!("client-{hint}");
        let scene = Scene {
            hint: Some(&hint),
            ..scene(servers)
        };
        Rendezvous.pick(&scene, &mut StdRng::seed_from_u64(0)).unwrap().0
    }

    fn shares(servers: &[Candidate]) -> Vec<u32> {
        let mut counts = vec![0; servers.len()];
        for hint in 0..HINTS {
            counts[pick(servers, hint) as usize] += 1;
        }
        counts
    }

    #[test]
    fn hints_are_spread_by_weight() {
        let mut servers = candidates(&[0; 5]);
        let equal = shares(&servers);
        assert!(fits(&equal, &[0.2; 5]), "{equal:?}");
        for (server, weight) in servers.iter_mut().zip([1.0, 2.0, 4.0, 0.5, 0.5]) {
            server.weight = weight;
        }
        let weighted = shares(&servers);
        assert!(fits(&weighted, &[0.125, 0.25, 0.5, 0.0625, 0.0625]), "{weighted:?}");
    }

    #[test]
    fn one_nth_moves_when_a_server_comes_or_goes_and_only_from_or_to_it() {
        let servers = candidates(&[0; 10]);
        let (mut moved, mut stayed) = (0, 0);
        for hint in 0..HINTS {
            match (pick(&servers, hint), pick(&servers[..9], hint)) {
                (9, _) => moved += 1,
                (with, without) => {
                    assert_eq!(with, without, "nobody else moves");
                    stayed += 1;
                }
            }
        }
        assert!(fits(&[moved, stayed], &[0.1, 0.9]), "{moved} moved, {stayed} stayed");
    }

    #[test]
    fn the_clients_of_a_server_that_goes_are_spread_over_all_others() {
        let servers = candidates(&[0; 5]);
        let mut counts = vec![0; 4];
        for hint in (0..HINTS).filter(|hint| pick(&servers, *hint) == 4) {
            counts[pick(&servers[..4], hint) as usize] += 1;
        }
        assert!(fits(&counts, &[0.25; 4]), "{counts:?}");
    }

    #[test]
    fn without_a_hint_clients_go_where_most_room_is() {
        let servers = candidates(&[5, 3, 9]);
        assert_eq!(counts(&mut Rendezvous, &servers, 9, 0), [0, 9, 0]);
    }

    proptest! {
        #[test]
        fn a_hint_decides_whatever_else_changes_but_who_is_there(hint in ".{0,64}", clients in any::<[u32; 6]>(), now in any::<u64>(), seed in any::<u64>()) {
            let still = candidates(&[0; 6]);
            let busy = candidates(&clients.map(u64::from));
            let quiet = Scene { hint: Some(&hint), ..scene(&still) };
            let other = Scene { now, candidates: &busy, hint: Some(&hint) };
            let mut rng = StdRng::seed_from_u64(seed);
            prop_assert_eq!(Rendezvous.pick(&quiet, &mut rng), Rendezvous.pick(&other, &mut rng));
        }

        #[test]
        fn a_growing_weight_only_wins_clients(hint in any::<u32>(), grown in 1.0..50.0f64) {
            let mut servers = candidates(&[0; 6]);
            let before = pick(&servers, hint);
            servers[3].weight = grown;
            let after = pick(&servers, hint);
            prop_assert!(after == before || after == 3);
        }
    }
}
