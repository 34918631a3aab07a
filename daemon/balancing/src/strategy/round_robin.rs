//! `round-robin`: each server in turn, heavier ones more often.
//!
//! Theory: stride scheduling (C. Waldspurger and W. Weihl, "Stride Scheduling",
//! MIT/LCS/TM-528, 1995), which with equal weights is the plain rotation. Each
//! server has a *pass*; the lowest one is picked and moves on by 1 / weight.
//! The lowest pass among the candidates is the present; a server that comes, or
//! comes back, joins there: it neither waits a round nor gets what it missed in
//! one flood.
//!
//! What holds: over any stretch, two servers of equal weight that were
//! candidates all along differ by at most 1 in what they got, whatever others
//! come and go.

use super::{Entry, Scene, ServerIndex, Strategy, StrategyInfo};
use rand::Rng;
use std::collections::BTreeMap;

pub(super) const ENTRY: Entry = Entry {
    info: StrategyInfo {
        name: "round-robin",
        summary: "each server in turn, heavier ones more often",
        parameters: &[],
    },
    build: |_| Box::<RoundRobin>::default(),
};

/// Whose turn it is.
#[derive(Debug, Default)]
struct RoundRobin {
    /// The servers that are ahead of the present; all others stand at it.
    ahead: BTreeMap<ServerIndex, f64>,
    /// The lowest pass at the last pick.
    present: f64,
}

impl Strategy for RoundRobin {
    fn pick(&mut self, scene: &Scene<'_>, _rng: &mut dyn Rng) -> Option<ServerIndex> {
        // Both are in order of their index: one walk instead of a search for each.
        let mut ahead = self.ahead.iter().peekable();
        let passes = scene.candidates.iter().map(|candidate| {
            while ahead.next_if(|(index, _)| **index < candidate.index).is_some() {}
            let own = ahead.next_if(|(index, _)| **index == candidate.index);
            (own.map_or(self.present, |(_, pass)| *pass), candidate)
        });
        let (present, next) = passes.min_by(|(pass_a, a), (pass_b, b)| pass_a.total_cmp(pass_b).then(a.index.cmp(&b.index)))?;
        self.present = present;
        self.ahead.retain(|_, pass| *pass > present);
        self.ahead.insert(next.index, present + 1.0 / next.weight);
        Some(next.index)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Candidate,
            tests::{candidates, scene},
        },
        Strategy, *,
    };
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn picks(strategy: &mut RoundRobin, servers: &[Candidate], count: usize) -> Vec<u32> {
        let mut rng = StdRng::seed_from_u64(0);
        (0..count).map(|_| strategy.pick(&scene(servers), &mut rng).unwrap().0).collect()
    }

    #[test]
    fn equal_servers_take_turns() {
        let mut strategy = RoundRobin::default();
        assert_eq!(picks(&mut strategy, &candidates(&[0; 3]), 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_heavier_server_comes_more_often_and_not_in_one_run() {
        let mut servers = candidates(&[0; 3]);
        servers[0].weight = 2.0;
        let mut picked = picks(&mut RoundRobin::default(), &servers, 400);
        assert!(!picked.windows(3).any(|run| run == [0, 0, 0]));
        picked.sort_unstable();
        let counts: Vec<_> = picked.chunk_by(u32::eq).map(<[u32]>::len).collect();
        assert_eq!(counts, [200, 100, 100]);
    }

    #[test]
    fn a_server_that_comes_late_gets_its_turn_and_no_flood() {
        let mut strategy = RoundRobin::default();
        let servers = candidates(&[0; 3]);
        picks(&mut strategy, &servers[..2], 100);
        let picked = picks(&mut strategy, &servers, 6);
        assert_eq!(picked.iter().filter(|index| **index == 2).count(), 2);
    }

    #[test]
    fn servers_that_are_gone_leave_nothing_behind() {
        let mut strategy = RoundRobin::default();
        let servers = candidates(&[0; 100]);
        for window in servers.windows(2) {
            picks(&mut strategy, window, 4);
        }
        assert!(strategy.ahead.len() <= 4, "{:?}", strategy.ahead);
    }

    proptest! {
        /// Servers 0 and 1 stay; which of the others are there changes with every pick.
        #[test]
        fn servers_that_stay_are_even_whatever_others_come_and_go(
            others in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 4), 1..200),
        ) {
            let all = candidates(&[0; 6]);
            let mut strategy = RoundRobin::default();
            let mut lead = vec![0i64];
            for there in others {
                let mut now = all[..2].to_vec();
                now.extend(all[2..].iter().zip(there).filter(|(_, there)| *there).map(|(server, _)| *server));
                let change = match picks(&mut strategy, &now, 1)[..] {
                    [0] => 1,
                    [1] => -1,
                    _ => 0,
                };
                lead.push(lead.last().unwrap() + change);
            }
            // Over any stretch means: between any two points of the run.
            prop_assert!(lead.iter().max().unwrap() - lead.iter().min().unwrap() <= 1);
        }
    }
}
