//! Strategies: which of the candidates the next client gets.
//!
//! ```text
//!  registry ── candidates ──> strategy.pick ── ServerIndex ──> reservation, ticket
//! ```
//!
//! A strategy is pure and seeded: it knows no clock, no socket and no
//! randomness but what is passed in, so that a run can be repeated. It is
//! rebuilt when its name or its parameters change; what must survive that
//! stands in the registry, not here.
//!
//! A new strategy is a file in `strategy/`, with its theory and its [`Entry`],
//! and one line: its name in the list below.

/// A module for each name, and the table of their entries.
///
/// What a macro declares `rustfmt` does not find by itself: the Makefile names
/// these files to it.
macro_rules! strategies {
    ($($name:ident,)+) => {
        $(mod $name;)+

        /// All strategies that there are, by name.
        pub const STRATEGIES: &[Entry] = &[$($name::ENTRY),+];
    };
}

strategies! {
    least_bytes,
    least_load,
    power_of_two,
    random,
    rendezvous,
    round_robin,
}

mod catalogue;
#[cfg(test)]
mod tests;

pub use catalogue::{COMMON, ParameterInfo, Parameters, SLOW_START_S, StrategyInfo};

use fastchat_wire::control::{Balancing, Fault};
use rand::Rng;
use serde_json::Value;
use std::collections::BTreeMap;

/// A server's number in this balancer's registry; never reused within its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerIndex(pub u32);

/// A server that may get the next client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Which one.
    pub index: ServerIndex,
    /// Hash of its name: the same at every balancer.
    pub name_hash: u64,
    /// Its connections and the places reserved on it, by all balancers.
    pub clients: u64,
    /// Its share now, finite and above 0.
    pub weight: f64,
    /// Number of this balancer's assignment that it got last; 0 where it got none.
    pub assigned_at: u64,
    /// Bytes that it has sent to clients; never shrinks.
    pub bytes: u64,
}

/// What a strategy sees when it picks.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// ms of a clock that never goes back.
    pub now: u64,
    /// Who may be picked, in order of their index.
    pub candidates: &'a [Candidate],
    /// The client's, for strategies that stick to it.
    pub hint: Option<&'a str>,
}

/// Picks a server for each client.
pub trait Strategy: Send {
    /// One of the candidates; `None` only where there are none.
    fn pick(&mut self, scene: &Scene<'_>, rng: &mut dyn Rng) -> Option<ServerIndex>;
}

/// A strategy that there is.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What operators are told of it.
    pub info: StrategyInfo,
    /// Builds it with parameters that are within their ranges.
    pub build: fn(Parameters<'_>) -> Box<dyn Strategy>,
}

/// How long a new server's share grows under a balancing document, whatever its strategy.
#[must_use]
pub fn slow_start_ms(balancing: &Balancing) -> u64 {
    (Parameters(&balancing.parameters).number(&SLOW_START_S) * 1e3) as u64
}

/// What is in force until a spec's strategy is: `least-load`, as generation 0.
#[must_use]
pub fn initial() -> (Balancing, Box<dyn Strategy>) {
    let balancing = Balancing {
        strategy: least_load::ENTRY.info.name.to_owned(),
        parameters: BTreeMap::new(),
        generation: 0,
    };
    let strategy = (least_load::ENTRY.build)(Parameters(&balancing.parameters));
    (balancing, strategy)
}

/// Says whether a strategy and its parameters can be applied.
///
/// # Errors
/// Every fault there is, each naming what is known instead.
pub fn check(strategy: &str, parameters: &BTreeMap<String, Value>) -> Result<(), Vec<Fault>> {
    catalogue::find(STRATEGIES, strategy, parameters).map(drop)
}

/// Deals out parameters that are given for several strategies together: each to those of `strategies` that know it.
/// One that no strategy knows goes to all of them, whose refusal says so; so does any that is given for a single one.
#[must_use]
pub fn deal(strategies: &[String], given: &BTreeMap<String, Value>) -> BTreeMap<String, BTreeMap<String, Value>> {
    let knows = |entry: &Entry, key: &str| catalogue::known_to(&entry.info).any(|known| known.name == key);
    let of = |strategy: &String| {
        let entry = STRATEGIES.iter().find(|entry| entry.info.name == strategy);
        let theirs = given.iter().filter(|(key, _)| {
            let nobody = || !STRATEGIES.iter().any(|entry| knows(entry, key));
            strategies.len() == 1 || entry.is_some_and(|entry| knows(entry, key)) || nobody()
        });
        let theirs = theirs.map(|(key, value)| (key.clone(), value.clone())).collect();
        (strategy.clone(), theirs)
    };
    strategies.iter().map(of).collect()
}

/// Builds the strategy that a spec names.
///
/// # Errors
/// The strategy or a parameter is unknown, or a value is out of its range; the
/// fault lists what is known.
pub fn build(balancing: &Balancing) -> Result<Box<dyn Strategy>, Vec<Fault>> {
    build_from(STRATEGIES, balancing)
}

fn build_from(known: &[Entry], balancing: &Balancing) -> Result<Box<dyn Strategy>, Vec<Fault>> {
    let entry = catalogue::find(known, &balancing.strategy, &balancing.parameters)?;
    Ok((entry.build)(Parameters(&balancing.parameters)))
}
