//! What is killed when: drawn from a seed, so that a run can be had again. Pure.

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use std::{fmt, time::Duration};

/// Somebody who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    /// A chat server.
    Server,
    /// The balancer.
    Balancer,
    /// The agent.
    Agent,
    /// The control plane.
    Control,
    /// The database's server, all of its processes.
    Database,
    /// The broker of the bus.
    Bus,
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Balancer => "balancer",
            Self::Agent => "agent",
            Self::Control => "control plane",
            Self::Database => "database",
            Self::Bus => "broker",
        })
    }
}

/// One kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blow {
    /// After the one before it.
    pub(crate) pause: Duration,
    /// Who.
    pub(crate) victim: Victim,
    /// Which of several: divided by their number, the remainder counts.
    pub(crate) which: usize,
    /// How long it stays away, where nobody starts it again but who killed it.
    pub(crate) away: Duration,
}

/// Every member of a fleet; most of it is servers.
pub(crate) const FLEET: [Victim; 6] = [
    Victim::Server,
    Victim::Server,
    Victim::Server,
    Victim::Balancer,
    Victim::Agent,
    Victim::Control,
];

/// One blow in so many follows the one before at once.
const AT_ONCE: u32 = 4;

/// Blows without end, in rounds: each victim has its turn in each of them.
#[derive(Debug)]
pub(crate) struct Plan {
    rng: StdRng,
    victims: Vec<Victim>,
    pause_max: Duration,
    round: Vec<Victim>,
}

impl Plan {
    /// The plan of a seed. Blows are at most `pause_max` apart.
    pub(crate) fn new(seed: u64, victims: Vec<Victim>, pause_max: Duration) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            victims,
            pause_max,
            round: Vec::new(),
        }
    }

    /// Blows of a round.
    pub(crate) fn round(&self) -> usize {
        self.victims.len()
    }
}

impl Iterator for Plan {
    type Item = Blow;

    fn next(&mut self) -> Option<Blow> {
        if self.round.is_empty() {
            self.round.clone_from(&self.victims);
            self.round.shuffle(&mut self.rng);
        }
        let victim = self.round.pop()?;
        let share = |rng: &mut StdRng| f64::from(rng.random_range(1..=100u32)) / 100.0;
        let pause = match self.rng.random_range(0..AT_ONCE) {
            0 => Duration::ZERO,
            _ => self.pause_max.mul_f64(share(&mut self.rng)),
        };
        Some(Blow {
            pause,
            victim,
            which: self.rng.random_range(0..1_000),
            away: Duration::from_secs(2).mul_f64(share(&mut self.rng)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan::new(seed, FLEET.to_vec(), Duration::from_secs(3))
    }

    #[test]
    fn a_seed_is_a_plan_and_another_seed_another() {
        let blows = |seed| plan(seed).take(50).collect::<Vec<_>>();
        assert_eq!(blows(7), blows(7));
        assert_ne!(blows(7), blows(8));
    }

    #[test]
    fn everybody_has_a_turn_in_each_round() {
        let mut plan = plan(1);
        for _ in 0..20 {
            let mut round: Vec<_> = plan.by_ref().take(FLEET.len()).map(|blow| blow.victim).collect();
            round.sort_unstable();
            assert_eq!(round, FLEET);
        }
    }

    #[test]
    fn blows_keep_to_their_bounds_and_some_come_together() {
        let blows: Vec<_> = plan(2).take(200).collect();
        assert!(blows.iter().all(|blow| blow.pause <= Duration::from_secs(3)));
        assert!(blows.iter().any(|blow| blow.pause.is_zero()));
    }
}
