//! Strategies: which of the candidates the next client gets.
//!
//! ```text
//!  registry ── candidates ──> strategy.pick ── ServerIndex ──> reservation, ticket
//! ```
//!
//! A strategy is pure and seeded: it knows no clock, no socket and no
//! randomness but the one passed in, so that a run can be repeated. It is
//! rebuilt when its name or its parameters change; what must survive that
//! stands in the registry, not here.
//!
//! A new strategy is a file in `strategy/`, a line in [`BUILDERS`], and an entry
//! in [`strategies::STRATEGIES`], where its parameters are declared.

mod least_load;
mod random;
mod round_robin;

use fastchat_wire::control::{
    Balancing,
    strategies::{self, Fault},
};
use rand::Rng;

/// A server's number in this balancer's registry; never reused within its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ServerIndex(pub(super) u32);

/// A server that may get the next client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    /// Which one.
    pub(super) index: ServerIndex,
    /// Its connections and the places reserved on it, by all balancers.
    pub(super) clients: u64,
    /// Its share, finite and above 0.
    pub(super) weight: f64,
    /// Number of this balancer's assignment that it got last; 0 where it got none.
    pub(super) assigned_at: u64,
}

/// Picks a server for each client.
pub(super) trait Strategy: Send {
    /// One of `candidates`, which are in order of their index; `None` only where
    /// there are none. `hint` is the client's, for strategies that stick to it.
    fn pick(&mut self, candidates: &[Candidate], hint: Option<&str>, rng: &mut dyn Rng) -> Option<ServerIndex>;
}

type Builder = fn() -> Box<dyn Strategy>;

/// How each strategy is built.
const BUILDERS: &[(&str, Builder)] = &[
    ("least-load", || Box::new(least_load::LeastLoad)),
    ("random", || Box::new(random::Random)),
    ("round-robin", || Box::<round_robin::RoundRobin>::default()),
];

/// What is in force until a spec's strategy is: `least-load`, as generation 0.
pub(super) fn initial() -> (Balancing, Box<dyn Strategy>) {
    let balancing = Balancing {
        strategy: "least-load".to_owned(),
        parameters: std::collections::BTreeMap::new(),
        generation: 0,
    };
    (balancing, Box::new(least_load::LeastLoad))
}

/// Builds the strategy that a spec names.
///
/// # Errors
/// The strategy or a parameter is unknown, or a value is out of its range; the
/// fault lists what is known.
pub(super) fn build(balancing: &Balancing) -> Result<Box<dyn Strategy>, Vec<Fault>> {
    strategies::check(&balancing.strategy, &balancing.parameters)?;
    match BUILDERS.iter().find(|(name, _)| *name == balancing.strategy) {
        Some((_, builder)) => Ok(builder()),
        None => Err(vec![Fault {
            pointer: "/strategy".to_owned(),
            detail: format!("this balancer can't build {:?}", balancing.strategy),
        }]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Candidates with the given clients, all of weight 1.
    pub(super) fn candidates(clients: &[u64]) -> Vec<Candidate> {
        (0..)
            .zip(clients)
            .map(|(index, clients)| Candidate {
                index: ServerIndex(index),
                clients: *clients,
                weight: 1.0,
                assigned_at: 0,
            })
            .collect()
    }

    fn balancing(strategy: &str) -> Balancing {
        Balancing {
            strategy: strategy.to_owned(),
            parameters: std::collections::BTreeMap::new(),
            generation: 1,
        }
    }

    #[test]
    fn every_strategy_that_the_control_plane_accepts_is_built_here() {
        let known: Vec<_> = strategies::STRATEGIES.iter().map(|info| info.name).collect();
        let built: Vec<_> = BUILDERS.iter().map(|(name, _)| *name).collect();
        assert_eq!(known, built);
    }

    #[test]
    fn every_strategy_picks_none_of_no_candidates_and_the_only_one_of_one() {
        let mut rng = rand::make_rng::<rand::rngs::StdRng>();
        for (name, builder) in BUILDERS {
            let mut strategy = builder();
            assert_eq!(strategy.pick(&[], None, &mut rng), None, "{name}");
            assert_eq!(
                strategy.pick(&candidates(&[7]), Some("hint"), &mut rng),
                Some(ServerIndex(0)),
                "{name}"
            );
        }
    }

    #[test]
    fn an_unknown_strategy_is_refused_with_the_known_ones() {
        let faults = build(&balancing("fastest")).err().unwrap();
        assert_eq!(
            faults[0].detail,
            "there is no strategy \"fastest\"; there are least-load, random, round-robin"
        );
    }

    #[test]
    fn an_unknown_parameter_is_refused() {
        let mut balancing = balancing("random");
        balancing.parameters.insert("sides".to_owned(), 6.into());
        let faults = build(&balancing).err().unwrap();
        assert_eq!(faults[0].detail, "random takes no parameters, \"sides\" was given");
    }
}
