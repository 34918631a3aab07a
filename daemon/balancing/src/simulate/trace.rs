//! Traces: who came and went, one JSON object a line.
//!
//! ```text
//!  {"at_ms":0,"event":"up","server":"s1","weight":2}        clients: those that are there already
//!  {"at_ms":15,"event":"arrive","client":1,"hint":"room-7"} both may be missing
//!  {"at_ms":900,"event":"depart","client":1}                without client: anybody
//!  {"at_ms":950,"event":"down","server":"s1","back_within_ms":2000}
//! ```
//!
//! Times don't go back. A server that goes down loses its clients; with
//! `back_within_ms` each comes back within that time, without it they do by
//! lines of their own or not at all. Empty lines say nothing.

use crate::WEIGHTS;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Most clients that a server may have at first.
const CLIENTS_MAX: u64 = 1_000_000;
/// Latest moment: a hundred years.
const AT_MS_MAX: u64 = 3_155_760_000_000;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When, in ms from any beginning.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A server comes.
    Up {
        /// Its name.
        server: String,
        /// Its share.
        #[serde(default = "one")]
        weight: f64,
        /// Clients that are there already.
        #[serde(default)]
        clients: u64,
    },
    /// A server goes.
    Down {
        /// Its name.
        server: String,
        /// Its clients come back within this time; absent: not by themselves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        back_within_ms: Option<u64>,
    },
    /// A client comes.
    Arrive {
        /// Its number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<u64>,
        /// What it asks to stick to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// A client goes.
    Depart {
        /// Its number; absent: anybody.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<u64>,
    },
}

fn one() -> f64 {
    1.0
}

/// A trace that makes sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace(Vec<Line>);

/// What playing a trace takes, at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Servers at a time.
    pub servers: u64,
    /// Arrivals and departures, those of clients included who are there at first or come back with a server's death.
    pub steps: u64,
}

impl Size {
    /// Steps times servers: each step looks at every server.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.steps.saturating_mul(self.servers.max(1))
    }
}

/// A line that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct TraceError {
    /// Which one, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl Trace {
    /// Reads a trace.
    ///
    /// # Errors
    /// The first line that is no JSON, or makes no sense after those before it.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let mut lines = Vec::new();
        let mut so_far = SoFar::default();
        for (number, text) in (1..).zip(text.lines()) {
            if text.trim().is_empty() {
                continue;
            }
            let fault = |reason| TraceError { line: number, reason };
            let line: Line = serde_json::from_str(text).map_err(|error| fault(said(&error)))?;
            so_far.follow(&line).map_err(fault)?;
            lines.push(line);
        }
        match lines.is_empty() {
            true => Err(TraceError {
                line: 1,
                reason: "the trace is empty: its first line says which server is up".to_owned(),
            }),
            false => Ok(Self(lines)),
        }
    }

    /// One that is known to make sense.
    pub(super) fn of(lines: Vec<Line>) -> Self {
        Self(lines)
    }

    /// Its lines, in order of their times.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.0
    }

    /// What playing it takes, under one strategy.
    #[must_use]
    pub fn size(&self) -> Size {
        let mut size = Size::default();
        let (mut up, mut here): (u64, u64) = (0, 0);
        for line in &self.0 {
            let steps = match line.event {
                Event::Up { clients, .. } => {
                    up += 1;
                    size.servers = size.servers.max(up);
                    here = here.saturating_add(clients);
                    clients
                }
                Event::Down { back_within_ms, .. } => {
                    up = up.saturating_sub(1);
                    // It may have had all of them.
                    back_within_ms.map_or(0, |_| here)
                }
                Event::Arrive { .. } => {
                    here = here.saturating_add(1);
                    1
                }
                Event::Depart { .. } => {
                    here = here.saturating_sub(1);
                    1
                }
            };
            size.steps = size.steps.saturating_add(steps);
        }
        size
    }

    /// From when to when.
    #[must_use]
    pub fn span(&self) -> (u64, u64) {
        let at = |line: Option<&Line>| line.map_or(0, |line| line.at_ms);
        (at(self.0.first()), at(self.0.last()))
    }
}

/// What serde says, without its own line: it sees only one.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => format!("{reason} (column {})", error.column()),
        None => text,
    }
}

/// What the lines so far have made of servers and clients.
#[derive(Default)]
struct SoFar {
    at_ms: u64,
    up: HashSet<String>,
    here: HashSet<u64>,
}

impl SoFar {
    fn follow(&mut self, line: &Line) -> Result<(), String> {
        if line.at_ms < self.at_ms {
            return Err(format!("at_ms goes back from {} to {}", self.at_ms, line.at_ms));
        }
        if line.at_ms > AT_MS_MAX {
            return Err(format!("at_ms is at most {AT_MS_MAX}"));
        }
        self.at_ms = line.at_ms;
        match &line.event {
            Event::Up { server, weight, clients } => {
                if !WEIGHTS.contains(weight) {
                    let (min, max) = (WEIGHTS.start(), WEIGHTS.end());
                    return Err(format!("weight is a number from {min} to {max}, not {weight}"));
                }
                if *clients > CLIENTS_MAX {
                    return Err(format!("clients is at most {CLIENTS_MAX}"));
                }
                if !self.up.insert(server.clone()) {
                    return Err(format!("server {server:?} is up already"));
                }
            }
            Event::Down { server, back_within_ms } => {
                if back_within_ms.is_some_and(|ms| ms > AT_MS_MAX) {
                    return Err(format!("back_within_ms is at most {AT_MS_MAX}"));
                }
                if !self.up.remove(server) {
                    return Err(format!("server {server:?} isn't up"));
                }
            }
            Event::Arrive { client: Some(client), .. } if !self.here.insert(*client) => {
                return Err(format!("client {client} has come already"));
            }
            Event::Depart { client: Some(client) } if !self.here.remove(client) => {
                return Err(format!("client {client} isn't there"));
            }
            Event::Arrive { .. } | Event::Depart { .. } => {}
        }
        Ok(())
    }
}
