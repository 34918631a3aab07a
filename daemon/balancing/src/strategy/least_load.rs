//! `least-load`: the server with the fewest clients for its weight.
//!
//! Theory: join-the-shortest-queue, optimal for equal servers and exponential
//! service (W. Winston, "Optimality of the shortest line discipline", Journal
//! of Applied Probability 14, 1977). It is as good as the counts are fresh:
//! stale ones send a herd to one server (M. Mitzenmacher, "How useful is old
//! information?", 2000). So a client counts from its pick on (its
//! reservation), not from its arrival.
//!
//! What holds, with a fixed set of equal servers below their limits: where at
//! least one client arrives between any two departures, the counts of any two
//! servers differ by at most 1 after every arrival. A tie goes to the server
//! that has waited longest for a client, so that equals take turns and a server
//! that forgets its clients again and again isn't always the first.

use super::{Candidate, Entry, Scene, ServerIndex, Strategy, StrategyInfo};
use rand::Rng;
use std::cmp::Ordering;

pub(super) const ENTRY: Entry = Entry {
    info: StrategyInfo {
        name: "least-load",
        summary: "the server with the fewest clients and reservations for its weight",
        parameters: &[],
    },
    build: |_| Box::new(LeastLoad),
};

/// Keeps no state: the registry counts.
#[derive(Debug)]
pub(super) struct LeastLoad;

impl Strategy for LeastLoad {
    fn pick(&mut self, scene: &Scene<'_>, _rng: &mut dyn Rng) -> Option<ServerIndex> {
        scene
            .candidates
            .iter()
            .min_by(|a, b| by_load(a, b))
            .map(|candidate| candidate.index)
    }
}

/// The one that is to be picked first; never equal.
pub(super) fn by_load(a: &Candidate, b: &Candidate) -> Ordering {
    share(a)
        .total_cmp(&share(b))
        .then(a.assigned_at.cmp(&b.assigned_at))
        .then(a.index.cmp(&b.index))
}

/// Clients for each unit of weight. Counts stay below 2^53, which f64 holds exactly.
pub(super) fn share(candidate: &Candidate) -> f64 {
    candidate.clients as f64 / candidate.weight
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{candidates, scene},
        Strategy, *,
    };
    use proptest::{collection::vec, prelude::*, strategy::Strategy as Generator};
    use rand::{SeedableRng, rngs::StdRng};

    fn pick(candidates: &[Candidate]) -> u32 {
        LeastLoad.pick(&scene(candidates), &mut StdRng::seed_from_u64(0)).unwrap().0
    }

    #[test]
    fn the_server_with_the_fewest_clients_is_picked() {
        assert_eq!(pick(&candidates(&[5, 3, 4])), 1);
    }

    #[test]
    fn clients_count_for_the_weight_that_carries_them() {
        let mut servers = candidates(&[10, 4]);
        servers[0].weight = 4.0;
        assert_eq!(pick(&servers), 0);
    }

    #[test]
    fn a_tie_goes_to_the_server_that_waited_longest() {
        let mut servers = candidates(&[2, 2, 2]);
        for (server, assigned_at) in servers.iter_mut().zip([9, 4, 6]) {
            server.assigned_at = assigned_at;
        }
        assert_eq!(pick(&servers), 1);
    }

    #[derive(Debug, Clone)]
    enum Change {
        Arrives,
        DepartsThenArrives(usize),
    }

    fn changes() -> impl Generator<Value = Vec<Change>> {
        let change = prop_oneof![
            Just(Change::Arrives),
            Generator::prop_map(any::<usize>(), Change::DepartsThenArrives)
        ];
        vec(change, 0..300)
    }

    proptest! {
        #[test]
        fn counts_differ_by_at_most_one_after_every_arrival(servers in 1..9usize, changes in changes()) {
            let mut servers = candidates(&vec![0; servers]);
            let mut arrivals = 0;
            for change in changes {
                if let Change::DepartsThenArrives(nth) = change {
                    let occupied: Vec<_> = (0..servers.len()).filter(|i| servers[*i].clients > 0).collect();
                    if !occupied.is_empty() {
                        servers[occupied[nth % occupied.len()]].clients -= 1;
                    }
                }
                arrivals += 1;
                let picked = pick(&servers) as usize;
                let picked = &mut servers[picked];
                picked.clients += 1;
                picked.assigned_at = arrivals;
                let counts = servers.iter().map(|server| server.clients);
                prop_assert!(counts.clone().max().unwrap() - counts.min().unwrap() <= 1);
            }
        }

        #[test]
        fn without_departures_weights_share_the_clients(weights in vec(1..9u32, 1..6), clients in 1..400u32) {
            let mut servers = candidates(&vec![0; weights.len()]);
            for (server, weight) in servers.iter_mut().zip(&weights) {
                server.weight = f64::from(*weight);
            }
            for _ in 0..clients {
                let picked = pick(&servers) as usize;
                servers[picked].clients += 1;
            }
            // Each pick raises the smallest share by 1 / weight, so no share gets further ahead than that.
            let least = servers.iter().map(share).min_by(f64::total_cmp).unwrap();
            for server in &servers {
                prop_assert!(share(server) <= least + 1.0 / server.weight + 1e-9);
            }
        }
    }
}
