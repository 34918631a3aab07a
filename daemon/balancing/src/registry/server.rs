//! One server, as the registry knows it.

use super::{Policy, ejection::Doubts};
use crate::{
    hash,
    shadow::Standing,
    strategy::{Candidate, ServerIndex},
};
use std::collections::VecDeque;

/// Least part of its share that a new server gets: nobody starves.
const STARTED_MIN: f64 = 0.1;

#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) address: String,
    name_hash: u64,
    pub(super) weight: f64,
    /// Serial of its link; `None` where it is gone.
    pub(super) link: Option<u64>,
    /// It came without clients at this time.
    new_at: Option<u64>,
    pub(super) connections: u64,
    pub(super) reserved_elsewhere: u64,
    pub(super) draining: bool,
    excluded: bool,
    /// Most clients.
    clients_max: u64,
    /// Our tickets that are out for it.
    pub(super) reserved: u64,
    /// Moves from here that are remembered.
    pub(super) moves: u64,
    /// Of those, the ones whose clients have a ticket for another server.
    pub(super) placed: u64,
    /// Clients that arrived elsewhere: until when each is taken off our connections.
    pub(super) arrived: VecDeque<u64>,
    pub(super) assigned_at: u64,
    pub(super) doubts: Doubts,
    /// All bytes that it has sent, over its restarts.
    bytes: u64,
    /// What it reported last.
    bytes_reported: u64,
}

impl Server {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: String::new(),
            name_hash: hash::text(name),
            weight: 1.0,
            link: None,
            new_at: None,
            connections: 0,
            reserved_elsewhere: 0,
            draining: false,
            excluded: false,
            clients_max: u64::MAX,
            reserved: 0,
            moves: 0,
            placed: 0,
            arrived: VecDeque::new(),
            assigned_at: 0,
            doubts: Doubts::default(),
            bytes: 0,
            bytes_reported: 0,
        }
    }

    /// It has a link. One that brings clients was running: its link was new, not it.
    pub(super) fn attach(&mut self, now: u64, address: String, weight: f64, serial: u64, connections: u64) {
        self.address = address;
        self.weight = weight;
        self.link = Some(serial);
        self.new_at = (connections == 0).then_some(now);
    }

    /// Takes over what the operator says of it.
    pub(super) fn follow(&mut self, policy: &Policy) {
        self.excluded = policy.excluded.contains(&self.name);
        let clients_max = policy.clients_max.get(&self.name).copied();
        self.clients_max = clients_max.filter(|max| *max > 0).unwrap_or(u64::MAX);
    }

    /// It says how many bytes it has sent since its start. Fewer than before: it was started again.
    pub(super) fn sent(&mut self, bytes_out: u64) {
        let grown = bytes_out.checked_sub(self.bytes_reported).unwrap_or(bytes_out);
        self.bytes = self.bytes.saturating_add(grown);
        self.bytes_reported = bytes_out;
    }

    pub(super) fn clients(&self) -> u64 {
        let elsewhere = self.placed + self.arrived.len() as u64;
        (self.connections + self.reserved + self.reserved_elsewhere).saturating_sub(elsewhere)
    }

    /// True where it is one of those that share the clients, full or not.
    pub(super) fn shares(&self) -> bool {
        self.link.is_some() && !self.draining && !self.excluded
    }

    pub(super) fn takes_clients(&self) -> bool {
        self.shares() && self.clients() < self.clients_max
    }

    /// Where it is still in its slow start: the part of its share that it gets.
    pub(super) fn started(&self, now: u64, slow_start_ms: u64) -> Option<f64> {
        let age = now.saturating_sub(self.new_at?);
        (age < slow_start_ms).then(|| (age as f64 / slow_start_ms as f64).max(STARTED_MIN))
    }

    pub(super) fn candidate(&self, index: ServerIndex) -> Candidate {
        Candidate {
            index,
            name_hash: self.name_hash,
            clients: self.clients(),
            weight: self.weight,
            assigned_at: self.assigned_at,
            bytes: self.bytes,
        }
    }

    pub(super) fn standing(&self, index: ServerIndex) -> Standing {
        Standing {
            index,
            clients: self.clients(),
            weight: self.weight,
            bytes: self.bytes,
        }
    }

    /// Forgets what is over at `now`; gives the time of the next.
    pub(super) fn sweep(&mut self, now: u64) -> u64 {
        while self.arrived.front().is_some_and(|until| *until <= now) {
            self.arrived.pop_front();
        }
        self.arrived.front().copied().unwrap_or(u64::MAX)
    }

    /// False where it can be forgotten.
    pub(super) fn is_known(&self) -> bool {
        self.link.is_some() || self.reserved > 0 || self.moves > 0
    }
}
