//! What a pick costs: assigns per second of each strategy, and what shadows add.
//!
//! An assign here is what the balancer does under its lock: the candidates, a
//! pick, a reservation, and the redeeming of an earlier ticket with its client's
//! report; a departure follows each. No socket, no ticket is signed. Lines such as
//!
//! ```text
//! least-load     servers    3  …  assigns/s  …  ns each
//! least-load     servers    3  …  assigns/s  …  ns each  with shadows
//! ```
//!
//! are the best of several rounds. Figures of two machines don't compare; two
//! commits on one quiet machine do.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use fastchat_balancing::{
    registry::{LinkId, Registry, Reported},
    shadow::{Shadows, Standing},
    strategy::{Entry, Parameters, STRATEGIES, Scene},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const SERVERS: [usize; 2] = [3, 1_000];
/// A round takes about this long.
const ROUND: Duration = Duration::from_millis(400);
/// Each figure is the best of so many rounds.
const ROUNDS: usize = 5;
/// Clients of each server at the start.
const CLIENTS: u64 = 100;

fn main() {
    println!("machine  {}", machine());
    for servers in SERVERS {
        for entry in STRATEGIES {
            for shadows in [false, true] {
                let ns = best(entry, servers, shadows);
                let note = if shadows { "  with shadows" } else { "" };
                let name = entry.info.name;
                println!("{name:14} servers {servers:4}  {:9.0} assigns/s  {ns:7.0} ns each{note}", 1e9 / ns);
            }
        }
    }
}

fn best(entry: &Entry, servers: usize, shadows: bool) -> f64 {
    let mut balancer = Balancer::new(entry, servers, shadows);
    balancer.assigns(2_000.min(200_000 / servers));
    (0..ROUNDS).map(|_| balancer.round()).fold(f64::INFINITY, f64::min)
}

struct Balancer<'a> {
    entry: &'a Entry,
    registry: Registry,
    links: Vec<LinkId>,
    connections: Vec<u64>,
    strategy: Box<dyn fastchat_balancing::strategy::Strategy>,
    shadows: Option<Shadows>,
    /// What the shadows are shown; kept for its room.
    standings: Vec<Standing>,
    rng: StdRng,
    number: u64,
}

impl<'a> Balancer<'a> {
    fn new(entry: &'a Entry, servers: usize, shadows: bool) -> Self {
        let mut registry = Registry::default();
        let links = (0..servers).map(|nth| {
            let reported = Reported {
                connections: CLIENTS,
                ..Reported::default()
            };
            registry.attach(0, &format!("s{nth}"), format!("s{nth}.test:7110"), 1.0, &reported)
        });
        Self {
            entry,
            links: links.collect(),
            registry,
            connections: vec![CLIENTS; servers],
            strategy: (entry.build)(Parameters(&BTreeMap::new())),
            shadows: shadows.then(|| Shadows::new(entry.info.name, 1)),
            standings: Vec::new(),
            rng: StdRng::seed_from_u64(1),
            number: 0,
        }
    }

    /// ns of one assign.
    fn round(&mut self) -> f64 {
        let start = Instant::now();
        let mut assigns = 0;
        while start.elapsed() < ROUND {
            self.assigns(50);
            assigns += 50;
        }
        start.elapsed().as_nanos() as f64 / f64::from(assigns)
    }

    fn assigns(&mut self, count: usize) {
        for _ in 0..count {
            self.number += 1;
            let now = self.number / 10;
            let candidates = self.registry.candidates(now, None);
            let hint = (self.entry.info.name == "rendezvous").then(|| self.number.to_string());
            let scene = Scene {
                now,
                candidates: &candidates,
                hint: hint.as_deref(),
            };
            let picked = self.strategy.pick(&scene, &mut self.rng);
            let Some(at) = candidates.iter().position(|candidate| Some(candidate.index) == picked) else {
                continue;
            };
            if let Some(shadows) = &mut self.shadows {
                self.standings.clear();
                self.standings.extend(self.registry.standings());
                shadows.assign(&self.standings, &scene, candidates[at].index);
            }
            self.registry.reserve(candidates[at].index, self.number, now + 10_000, None);
            self.report(at, 1, &[self.number]);
            let leaves = self.rng.random_range(0..self.links.len());
            if self.connections[leaves] > 0 {
                self.report(leaves, -1, &[]);
            }
        }
    }

    fn report(&mut self, at: usize, change: i64, redeemed: &[u64]) {
        self.connections[at] = self.connections[at].saturating_add_signed(change);
        let reported = Reported {
            connections: self.connections[at],
            bytes_out: self.number * 1_000,
            redeemed: redeemed.to_vec(),
            ..Reported::default()
        };
        // No link is replaced here.
        let _ = self.registry.load(self.number / 10, self.links[at], &reported);
    }
}

fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "{} {}, {cpus} CPUs, {}",
        std::env::consts::OS,
        std::env::consts::ARCH,
        model.map_or("unknown model", |(_, model)| model)
    )
}
