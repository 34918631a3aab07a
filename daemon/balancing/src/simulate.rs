//! Foresight: what a trace would have made of the servers under a strategy.
//!
//! ```text
//!  trace (recorded, or synthetic churn)
//!    └─ each line ──> registry and strategy, the balancer's own ──> imbalance after each ──> outcome
//! ```
//!
//! Every client that comes is there at once; a server reports every 500 ms, and
//! every client makes it send the same. Nothing else is assumed: a client who is
//! named in the trace leaves the server that this strategy put him on.

mod people;
mod svg;
mod synthetic;
mod table;
#[cfg(test)]
mod tests;
mod trace;

pub use svg::svg;
pub use synthetic::Churn;
pub use table::table;
pub use trace::{Event, Line, Size, Trace, TraceError};

use crate::{
    imbalance::imbalance,
    registry::{LinkId, Registry, Reported},
    strategy::{self, Scene, Strategy},
};
use fastchat_wire::control::{Balancing, Fault};
use people::{People, Person};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Points of an outcome's timeline.
pub const POINTS: usize = 600;
/// A server reports so often, in ms.
const REPORT_MS: u64 = 500;
/// Bytes that a client makes its server send in a second.
const CLIENT_BYTES_PER_S: u64 = 1_000;
/// The time of tickets, ms; each is used at once.
const TICKET_MS: u64 = 10_000;

/// What became of the servers under one strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The strategy.
    pub strategy: String,
    /// Clients who came, those who came back after a server's death included.
    pub arrivals: u64,
    /// Those for whom there was no server.
    pub refused: u64,
    /// Imbalance over time: the mean.
    pub mean: f64,
    /// What it stayed below for 99 % of the time.
    pub p99: f64,
    /// The largest.
    pub max: f64,
    /// From when to when, ms of the trace.
    pub from_ms: u64,
    /// See `from_ms`.
    pub to_ms: u64,
    /// The largest imbalance in each of [`POINTS`] equal parts of the time.
    pub timeline: Vec<f64>,
}

/// Plays a trace under a strategy. One seed gives one outcome.
///
/// # Errors
/// The strategy can't be built; every reason.
pub fn simulate(trace: &Trace, balancing: &Balancing, seed: u64) -> Result<Outcome, Vec<Fault>> {
    let mut world = World::new(balancing, trace, seed)?;
    for line in trace.lines() {
        world.come_back_until(line.at_ms);
        world.play(line);
        world.look(line.at_ms);
    }
    Ok(world.outcome(&balancing.strategy))
}

struct World {
    registry: Registry,
    strategy: Box<dyn Strategy>,
    rng: StdRng,
    servers: BTreeMap<String, Server>,
    people: People,
    now: u64,
    reported_at: u64,
    arrivals: u64,
    refused: u64,
    /// Imbalances with how long each lasted, ms.
    spans: Vec<(f64, u64)>,
    /// From when the one in force lasts.
    present: (f64, u64),
    from: u64,
    to: u64,
    timeline: Vec<f64>,
}

struct Server {
    link: LinkId,
    weight: f64,
    clients: u64,
    bytes: u64,
    /// Until when its bytes are counted.
    counted: u64,
}

impl World {
    fn new(balancing: &Balancing, trace: &Trace, seed: u64) -> Result<Self, Vec<Fault>> {
        let strategy = strategy::build(balancing)?;
        let mut registry = Registry::default();
        registry.set_slow_start(strategy::slow_start_ms(balancing));
        let (from, to) = trace.span();
        Ok(Self {
            registry,
            strategy,
            rng: StdRng::seed_from_u64(seed),
            servers: BTreeMap::new(),
            people: People::default(),
            now: from,
            reported_at: from,
            arrivals: 0,
            refused: 0,
            spans: Vec::new(),
            present: (0.0, from),
            from,
            to,
            timeline: vec![0.0; POINTS],
        })
    }

    /// Those who lost their server and come back by `until`.
    fn come_back_until(&mut self, until: u64) {
        while let Some((at, person)) = self.people.back_by(until) {
            self.now = at;
            self.arrive(person);
            self.look(at);
        }
    }

    fn play(&mut self, line: &Line) {
        self.now = line.at_ms;
        if self.now >= self.reported_at + REPORT_MS {
            self.report();
        }
        match &line.event {
            Event::Up { server, weight, clients } => self.up(server, *weight, *clients),
            Event::Down { server, back_within_ms } => self.down(server, *back_within_ms),
            Event::Arrive { client, hint } => self.arrive(Person {
                client: *client,
                hint: hint.clone(),
                server: String::new(),
            }),
            Event::Depart { client } => {
                if let Some(person) = self.people.leave(*client, &mut self.rng) {
                    self.change(&person.server, |clients| clients - 1, None);
                }
            }
        }
    }

    fn up(&mut self, name: &str, weight: f64, clients: u64) {
        let reported = Reported {
            connections: clients,
            ..Reported::default()
        };
        let link = self.registry.attach(self.now, name, String::new(), weight, &reported);
        let server = Server {
            link,
            weight,
            clients,
            bytes: 0,
            counted: self.now,
        };
        self.servers.insert(name.to_owned(), server);
        for _ in 0..clients {
            self.people.come(Person {
                client: None,
                hint: None,
                server: name.to_owned(),
            });
        }
    }

    fn down(&mut self, name: &str, back_within_ms: Option<u64>) {
        let Some(server) = self.servers.remove(name) else { return };
        self.registry.detach(server.link);
        for person in self.people.lose(name) {
            if let Some(ms) = back_within_ms {
                let at = self.now + self.rng.random_range(0..=ms);
                self.people.come_back(at, person);
            }
        }
    }

    fn arrive(&mut self, mut person: Person) {
        self.arrivals += 1;
        let candidates = self.registry.candidates(self.now, None);
        let scene = Scene {
            now: self.now,
            candidates: &candidates,
            hint: person.hint.as_deref(),
        };
        let ticket = self.arrivals;
        let placed = match self.strategy.pick(&scene, &mut self.rng) {
            Some(picked) => self.registry.reserve(picked, ticket, self.now + TICKET_MS, None),
            None => None,
        };
        let Some((name, _)) = placed else {
            self.refused += 1;
            return;
        };
        person.server = name.to_owned();
        self.change(&person.server, |clients| clients + 1, Some(ticket));
        self.people.come(person);
    }

    /// A server's clients are others, and it says so.
    fn change(&mut self, name: &str, change: impl FnOnce(u64) -> u64, redeemed: Option<u64>) {
        let Some(server) = self.servers.get_mut(name) else { return };
        server.count(self.now);
        server.clients = change(server.clients);
        let reported = server.reported(redeemed);
        // Only a newer link of the same server would be an error, and there is none.
        let _ = self.registry.load(self.now, server.link, &reported);
    }

    fn report(&mut self) {
        self.reported_at = self.now;
        for server in self.servers.values_mut() {
            server.count(self.now);
            let _ = self.registry.load(self.now, server.link, &server.reported(None));
        }
    }

    /// Notes the imbalance that there is from `at` on.
    fn look(&mut self, at: u64) {
        let (before, since) = self.present;
        if at > since {
            self.spans.push((before, at - since));
        }
        let (first, last) = (self.point(since), self.point(at));
        for point in &mut self.timeline[first..=last] {
            *point = point.max(before);
        }
        let now = imbalance(self.servers.values().map(|server| (server.clients, server.weight)));
        self.timeline[last] = self.timeline[last].max(now);
        self.present = (now, at);
    }

    fn point(&self, at: u64) -> usize {
        let part = (at - self.from) as f64 / (self.to - self.from).max(1) as f64;
        ((part * POINTS as f64) as usize).min(POINTS - 1)
    }

    fn outcome(mut self, strategy: &str) -> Outcome {
        let lasted: u64 = self.spans.iter().map(|(_, ms)| ms).sum();
        let sum: f64 = self.spans.iter().map(|(imbalance, ms)| imbalance * *ms as f64).sum();
        self.spans.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut below = 0;
        let p99 = self.spans.iter().find(|(_, ms)| {
            below += ms;
            below as f64 >= 0.99 * lasted as f64
        });
        Outcome {
            strategy: strategy.to_owned(),
            arrivals: self.arrivals,
            refused: self.refused,
            mean: sum / lasted.max(1) as f64,
            p99: p99.map_or(0.0, |(imbalance, _)| *imbalance),
            max: self.timeline.iter().copied().fold(0.0, f64::max),
            from_ms: self.from,
            to_ms: self.to,
            timeline: self.timeline,
        }
    }
}

impl Server {
    fn count(&mut self, now: u64) {
        self.bytes += self.clients * CLIENT_BYTES_PER_S * (now - self.counted) / 1_000;
        self.counted = now;
    }

    fn reported(&self, redeemed: Option<u64>) -> Reported {
        Reported {
            connections: self.clients,
            bytes_out: self.bytes,
            redeemed: redeemed.into_iter().collect(),
            ..Reported::default()
        }
    }
}
