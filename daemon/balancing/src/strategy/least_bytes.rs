//! `least-bytes`: the server that has sent the fewest bytes lately for its weight.
//!
//! Clients differ: one in a busy group makes a server send a thousand times
//! what an idle one does. Bytes sent are what it costs, so they are summed, each
//! byte counting half as much after every `half_life_s` (exponential decay, as
//! in Unix load averages; S. Leffler and others, "The Design and Implementation
//! of the 4.3BSD UNIX Operating System", 1989, §4.4).
//!
//! Bytes come late: a new client has sent nothing yet, so that bytes alone would
//! flood a new server with everybody until they show. So a client is charged
//! when it is sent: with what a typical client's sum is (the median over the
//! servers). The charge decays as the client's real bytes grow, which for a
//! typical one is the same to the byte: with rate r its sum after t is
//! (r h / ln 2) (1 - 2^(-t/h)), and the charge r h / ln 2 has 2^(-t/h) left. It
//! is the median, so that a few servers that lie change nobody's charge: one
//! that boasts gets no clients; one that says nothing of its bytes gets too many,
//! but not all of a storm, as charges fade no faster than bytes.
//!
//! The decay is a common factor of all sums, which no comparison sees. So sums
//! are kept in bytes of a past moment, and new bytes are scaled up to it.
//!
//! `half_life_s` 0 is the plain sum since each server's start, without decay and
//! charges: a server that was started again gets everybody until it has caught
//! up. Whoever bills by bytes wants that; nobody else does.
//!
//! Sums start at 0 where the strategy is put in force. Without bytes, and among
//! equals, it is `least-load`.

use super::{Candidate, Entry, ParameterInfo, Scene, ServerIndex, Strategy, StrategyInfo, least_load::by_load};
use rand::Rng;

const HALF_LIFE_S: ParameterInfo = ParameterInfo {
    name: "half_life_s",
    summary: "after so many seconds a byte counts half; 0: all bytes since a server's start count whole",
    min: 0.0,
    max: 86_400.0,
    default: 30.0,
};

pub(super) const ENTRY: Entry = Entry {
    info: StrategyInfo {
        name: "least-bytes",
        summary: "the server that has sent the fewest bytes lately for its weight",
        parameters: &[HALF_LIFE_S],
    },
    build: |parameters| match parameters.number(&HALF_LIFE_S) {
        0.0 => Box::new(Total),
        half_life_s => Box::new(Decaying::new(half_life_s * 1e3)),
    },
};

/// What a typical client's sum is, is looked at so often, in ms.
const TYPICAL_MS: u64 = 100;
/// Sums are brought to the present after so many half-lives, long before they leave the range of f64.
const HALF_LIVES_MAX: f64 = 64.0;
/// Servers that are no candidates are remembered until they are this many more than those that are.
const ABSENT_MAX: usize = 64;

/// Keeps no state: the servers count.
#[derive(Debug)]
struct Total;

impl Strategy for Total {
    fn pick(&mut self, scene: &Scene<'_>, _rng: &mut dyn Rng) -> Option<ServerIndex> {
        lightest(scene.candidates.iter().map(|candidate| (candidate.bytes as f64, candidate)))
    }
}

fn lightest<'a>(sums: impl Iterator<Item = (f64, &'a Candidate)>) -> Option<ServerIndex> {
    sums.min_by(|(sum_a, a), (sum_b, b)| (sum_a / a.weight).total_cmp(&(sum_b / b.weight)).then_with(|| by_load(a, b)))
        .map(|(_, candidate)| candidate.index)
}

#[derive(Debug)]
struct Decaying {
    half_life_ms: f64,
    /// In order of their index.
    sums: Vec<Sum>,
    /// The moment whose bytes the sums are in, ms.
    moment: u64,
    /// What a typical client's sum is, in bytes of when it was looked at.
    typical: f64,
    looked_at: Option<u64>,
}

#[derive(Debug)]
struct Sum {
    server: ServerIndex,
    /// Its bytes that are in the sum already.
    seen: u64,
    bytes: f64,
}

impl Decaying {
    fn new(half_life_ms: f64) -> Self {
        Self {
            half_life_ms,
            sums: Vec::new(),
            moment: 0,
            typical: 0.0,
            looked_at: None,
        }
    }

    /// What a byte of now counts in the sums.
    fn scale(&mut self, now: u64) -> f64 {
        let half_lives = now.saturating_sub(self.moment) as f64 / self.half_life_ms;
        if half_lives < HALF_LIVES_MAX {
            return half_lives.exp2();
        }
        for sum in &mut self.sums {
            sum.bytes *= (-half_lives).exp2();
        }
        self.moment = now;
        1.0
    }

    /// Adds what the candidates have sent since they were seen last.
    fn observe(&mut self, candidates: &[Candidate], scale: f64) {
        let mut at = 0;
        for candidate in candidates {
            while self.sums.get(at).is_some_and(|sum| sum.server < candidate.index) {
                at += 1;
            }
            if self.sums.get(at).is_none_or(|sum| sum.server != candidate.index) {
                let new = Sum {
                    server: candidate.index,
                    seen: candidate.bytes,
                    bytes: 0.0,
                };
                self.sums.insert(at, new);
            }
            let sum = &mut self.sums[at];
            sum.bytes += candidate.bytes.saturating_sub(sum.seen) as f64 * scale;
            sum.seen = candidate.bytes;
        }
        if self.sums.len() > candidates.len() + ABSENT_MAX {
            let is_there = |sum: &Sum| candidates.binary_search_by_key(&sum.server, |candidate| candidate.index).is_ok();
            self.sums.retain(is_there);
        }
    }

    /// The candidates with their sums.
    fn with_sums<'a>(&'a self, candidates: &'a [Candidate]) -> impl Iterator<Item = (f64, &'a Candidate)> {
        let mut sums = self.sums.iter();
        candidates
            .iter()
            .filter_map(move |candidate| Some((sums.find(|sum| sum.server == candidate.index)?.bytes, candidate)))
    }

    /// The median over the servers of what one of their clients adds to their sum.
    fn look(&mut self, scene: &Scene<'_>, scale: f64) {
        if self.looked_at.is_some_and(|at| scene.now < at + TYPICAL_MS) {
            return;
        }
        self.looked_at = Some(scene.now);
        let populated = self.with_sums(scene.candidates).filter(|(_, candidate)| candidate.clients > 0);
        let mut each: Vec<f64> = populated.map(|(bytes, candidate)| bytes / candidate.clients as f64).collect();
        let middle = each.len() / 2;
        self.typical = if each.is_empty() {
            0.0
        } else {
            *each.select_nth_unstable_by(middle, f64::total_cmp).1 / scale
        };
    }
}

impl Strategy for Decaying {
    fn pick(&mut self, scene: &Scene<'_>, _rng: &mut dyn Rng) -> Option<ServerIndex> {
        let scale = self.scale(scene.now);
        self.observe(scene.candidates, scale);
        self.look(scene, scale);
        let picked = lightest(self.with_sums(scene.candidates))?;
        if let Ok(at) = self.sums.binary_search_by_key(&picked, |sum| sum.server) {
            self.sums[at].bytes += self.typical * scale;
        }
        Some(picked)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{candidates, counts},
        *,
    };
    use proptest::prelude::{ProptestConfig, prop_assert, proptest};
    use rand::{SeedableRng, rngs::StdRng};

    const HALF_LIFE_MS: f64 = 10_000.0;

    /// Servers whose clients send at their own rates, and what the strategy makes of them.
    struct World {
        strategy: Decaying,
        servers: Vec<Candidate>,
        /// Bytes a second that each server sends.
        rates: Vec<u64>,
        now: u64,
        /// Between arrivals, ms.
        step_ms: u64,
    }

    impl World {
        fn new(clients: &[u64], rate: u64) -> Self {
            Self {
                strategy: Decaying::new(HALF_LIFE_MS),
                servers: candidates(clients),
                rates: clients.iter().map(|clients| clients * rate).collect(),
                now: 0,
                step_ms: 1_000,
            }
        }

        /// A step later, a client of that rate comes.
        fn arrives(&mut self, rate: u64) -> usize {
            self.now += self.step_ms;
            for (server, rate) in self.servers.iter_mut().zip(&self.rates) {
                server.bytes = server.bytes.saturating_add(rate * self.step_ms / 1_000);
            }
            let scene = Scene {
                now: self.now,
                candidates: &self.servers,
                hint: None,
            };
            let picked = self.strategy.pick(&scene, &mut StdRng::seed_from_u64(0)).unwrap().0 as usize;
            self.servers[picked].clients += 1;
            self.rates[picked] += rate;
            picked
        }
    }

    #[test]
    fn clients_go_to_the_server_that_sends_less_not_to_the_one_with_fewer_clients() {
        let mut world = World::new(&[10, 10], 1);
        world.rates = vec![5_000, 50];
        world.servers[1].clients = 40;
        let picked: Vec<_> = (0..5).map(|_| world.arrives(1)).collect();
        assert_eq!(picked[1..], [1; 4]);
    }

    #[test]
    fn a_new_server_among_busy_ones_is_not_flooded() {
        let mut world = World::new(&[100, 100, 100], 1_000);
        for _ in 0..60 {
            world.arrives(1_000);
        }
        world.servers = {
            let mut servers = candidates(&[0; 4]);
            servers[..3].copy_from_slice(&world.servers);
            servers
        };
        world.rates.push(0);
        let mut most = 0;
        for _ in 0..300 {
            world.arrives(1_000);
            let new = world.servers[3].clients;
            let others = world.servers[..3].iter().map(|server| server.clients).max().unwrap();
            most = most.max(new.saturating_sub(others));
        }
        assert!(most <= 12, "{most} clients more than any other had it at most");
        assert!(world.servers[3].clients > 100, "{:?}", world.servers);
    }

    #[test]
    fn without_charges_the_plain_sum_floods_it() {
        let mut servers = candidates(&[100, 100, 0]);
        servers[0].bytes = 1_000;
        servers[1].bytes = 1_000;
        assert_eq!(counts(&mut Total, &servers, 50, 0), [0, 0, 50]);
        servers[2].bytes = 2_000;
        servers[0].weight = 2.0;
        assert_eq!(counts(&mut Total, &servers, 50, 0), [50, 0, 0]);
    }

    #[test]
    fn what_was_sent_long_ago_counts_no_more() {
        let mut world = World::new(&[1, 1], 0);
        world.arrives(0);
        world.servers[0].bytes = 1_000_000;
        world.servers[1].bytes = 1_000;
        world.servers[1].clients = 9;
        assert_eq!(world.arrives(0), 1, "a million bytes just now");
        world.rates = vec![10, 20];
        world.now += 1_000 * HALF_LIFE_MS as u64;
        let picked: Vec<_> = (0..10).map(|_| world.arrives(0)).collect();
        assert!(picked.contains(&0), "{picked:?}");
        assert!(world.strategy.sums.iter().all(|sum| sum.bytes.is_finite()));
    }

    #[test]
    fn one_that_boasts_gets_nobody_and_changes_nothing_for_the_others() {
        let mut world = World::new(&[10, 10, 10, 10], 1_000);
        world.rates[0] = 1 << 50;
        let before: Vec<_> = world.servers.iter().map(|server| server.clients).collect();
        for _ in 0..90 {
            world.arrives(1_000);
        }
        let got: Vec<_> = world
            .servers
            .iter()
            .zip(before)
            .map(|(server, before)| server.clients - before)
            .collect();
        assert!(got[0] <= 1, "{got:?}");
        assert!(got[1..].iter().all(|got| (25..=35).contains(got)), "{got:?}");
    }

    #[test]
    fn one_that_says_nothing_of_its_bytes_is_not_sent_a_whole_storm() {
        let mut world = World::new(&[10, 10, 10, 10], 1_000);
        let mut arrive = |count, step_ms| {
            let mut got = [0; 4];
            world.step_ms = step_ms;
            for _ in 0..count {
                world.rates[0] = 0;
                got[world.arrives(1_000)] += 1;
            }
            got
        };
        arrive(60, 1_000);
        let got = arrive(300, 10);
        assert!(got.iter().all(|got| (40..=120).contains(got)), "{got:?}");
    }

    #[test]
    fn servers_that_are_gone_leave_nothing_behind() {
        let mut strategy = Decaying::new(HALF_LIFE_MS);
        let all = candidates(&[0; 500]);
        for window in all.windows(2) {
            let scene = Scene {
                now: 0,
                candidates: window,
                hint: None,
            };
            strategy.pick(&scene, &mut StdRng::seed_from_u64(0));
        }
        assert!(strategy.sums.len() <= 2 + ABSENT_MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Clients of any rate: what servers send evens out as it comes to matter.
        #[test]
        fn bytes_even_out_whatever_the_clients_send(rates in proptest::collection::vec(1..2_000u64, 300..400)) {
            let mut world = World::new(&[0; 3], 0);
            for rate in &rates {
                world.arrives(*rate);
            }
            let (most, least) = (world.rates.iter().max().unwrap(), world.rates.iter().min().unwrap());
            prop_assert!(most - least <= most / 4, "{:?}", world.rates);
        }
    }
}
