//! The registry: which servers there are, and how many clients each has.
//!
//! Pure: the caller brings the time (ms of a clock that never goes back), the
//! ticket numbers and the servers' reports.
//!
//! ```text
//!  a server      attach              draining, excluded, full
//!   unknown ──────────────> attached <────────────────────> attached,
//!      ^                     │    ^                          no candidate
//!      │ nothing reserved,   │end │ attach
//!      └──────────────────── gone ┘      (gone: no candidate, its tickets still run)
//!
//!  a ticket      reserve             named by a load of its server
//!                ──────> reserved ─────────────────────────────────> a connection
//!                           └── its time is over ──> forgotten
//!
//!  a move        load.moving             assign with its id
//!                ──────────> announced ────────────────────> placed
//!                                ^      its ticket expires     │ its ticket is redeemed
//!                                └─────────────────────────────┤
//!                            forgotten <── source lost it ── arrived
//! ```
//!
//! A server's clients are its connections, plus the tickets that are out for it
//! (this balancer's and, as it tells us, the others'), minus those who are
//! placed elsewhere or have arrived there and are still connected here. So a
//! client that moves counts once: at its source until the ticket of its move is
//! issued, at its target from then on.
//!
//! A redeemed ticket leaves the reservations in the same step in which the
//! connections that it became are taken over. Tickets that aren't known (another
//! balancer's, or issued before a restart) change nothing.

mod expiring;
#[cfg(test)]
mod tests;

use super::strategy::{Candidate, ServerIndex};
use crate::limits::AddressKey;
use expiring::Expiring;
use fastchat_wire::{MoveId, control::BalancerServer};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// Moves that are remembered at a time; beyond, the oldest is forgotten.
const MOVES_MAX: usize = 100_000;
/// A move is remembered for so long, and its client is not sent back to the server that it leaves.
const MOVE_MS_MAX: u64 = 600_000;
/// A client that has arrived elsewhere counts at its source no more; so long, or until the source reports its end.
const LEAVE_MS_MAX: u64 = 2_000;

/// One link of one server; a newer one of the same server replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkId {
    server: ServerIndex,
    serial: u64,
}

/// The link was replaced, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Replaced;

/// What a server says of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Reported {
    /// Connections past `hello`.
    pub(super) connections: u64,
    /// Reservations of the other balancers.
    pub(super) reserved_elsewhere: u64,
    /// Takes no new clients.
    pub(super) draining: bool,
    /// Numbers of the tickets that became connections.
    pub(super) redeemed: Vec<u64>,
    /// Moves that it asked clients to make.
    pub(super) moving: Vec<MoveId>,
}

/// What the operator says of the servers, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Policy {
    /// Get no new clients.
    pub(super) excluded: HashSet<String>,
    /// Most clients; absent or 0 is no limit.
    pub(super) clients_max: HashMap<String, u64>,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Tickets of ours that became connections.
    pub(super) redeemed: u64,
    /// Tickets of ours that nobody used.
    pub(super) expired: u64,
}

#[derive(Debug)]
struct Server {
    name: String,
    address: String,
    weight: f64,
    /// Serial of its link; `None` where it is gone.
    link: Option<u64>,
    connections: u64,
    reserved_elsewhere: u64,
    draining: bool,
    /// Our tickets that are out for it.
    reserved: u64,
    /// Moves from here that are remembered.
    moves: u64,
    /// Of those, the ones whose clients have a ticket for another server.
    placed: u64,
    /// Clients that arrived elsewhere: until when each is taken off our connections.
    arrived: VecDeque<u64>,
    assigned_at: u64,
}

impl Server {
    fn clients(&self) -> u64 {
        let elsewhere = self.placed + self.arrived.len() as u64;
        (self.connections + self.reserved + self.reserved_elsewhere).saturating_sub(elsewhere)
    }
}

#[derive(Debug)]
struct Reservation {
    server: ServerIndex,
    moving: Option<MoveId>,
    /// Whose ticket it is, where that is counted.
    holder: Option<AddressKey>,
}

#[derive(Debug)]
struct Move {
    source: ServerIndex,
    /// Placed: the ticket that its client has.
    ticket: Option<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Registry {
    servers: BTreeMap<ServerIndex, Server>,
    reservations: Expiring<u64, Reservation>,
    /// Tickets that are out, by holder; nobody is in it without one.
    held: HashMap<AddressKey, u32>,
    moves: Expiring<MoveId, Move>,
    policy: Policy,
    servers_seen: u32,
    links_seen: u64,
    assignments: u64,
    totals: Totals,
}

impl Registry {
    /// Takes over what the operator says.
    pub(super) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// A server joins, or joins again: what was known of its link is replaced, its tickets stay.
    pub(super) fn attach(&mut self, now: u64, name: &str, address: String, weight: f64, reported: &Reported) -> LinkId {
        let index = match self.servers.iter().find(|(_, server)| server.name == name) {
            Some((index, _)) => *index,
            None => {
                self.servers_seen += 1;
                ServerIndex(self.servers_seen)
            }
        };
        self.end(index);
        self.links_seen += 1;
        let serial = self.links_seen;
        let server = self.servers.entry(index).or_insert_with(|| Server::new(name));
        server.address = address;
        server.weight = weight;
        server.link = Some(serial);
        self.take_over(now, index, reported);
        LinkId { server: index, serial }
    }

    /// A server reports its load.
    ///
    /// # Errors
    /// The link was replaced by a newer one.
    pub(super) fn load(&mut self, now: u64, link: LinkId, reported: &Reported) -> Result<(), Replaced> {
        if !self.is_current(link) {
            return Err(Replaced);
        }
        self.take_over(now, link.server, reported);
        Ok(())
    }

    /// A link has ended: its server is gone at once, unless it has a newer link.
    pub(super) fn detach(&mut self, link: LinkId) {
        if self.is_current(link) {
            self.end(link.server);
        }
    }

    /// The servers that may get the next client, in order of their index; not the one that `leaving` moves it away from.
    pub(super) fn candidates(&mut self, now: u64, leaving: Option<MoveId>) -> Vec<Candidate> {
        self.expire(now);
        let source = leaving.and_then(|id| self.moves.get(id)).map(|known| known.source);
        self.servers
            .iter()
            .filter(|(index, server)| Some(**index) != source && self.takes_clients(server))
            .map(|(index, server)| Candidate {
                index: *index,
                clients: server.clients(),
                weight: server.weight,
                assigned_at: server.assigned_at,
            })
            .collect()
    }

    /// Tickets that are out, for all servers; the caller bounds them.
    pub(super) fn outstanding(&self) -> usize {
        self.reservations.len()
    }

    /// Reserves a place under a ticket's number until `expires_at`. A move has one place: an earlier ticket's is given up.
    /// Gives the server's name and address.
    pub(super) fn reserve(&mut self, server: ServerIndex, number: u64, expires_at: u64, moving: Option<MoveId>) -> Option<(&str, &str)> {
        if !self.servers.contains_key(&server) {
            return None;
        }
        if let Some(known) = moving.and_then(|id| self.moves.get_mut(id)) {
            let earlier = known.ticket.replace(number);
            let source = known.source;
            match earlier {
                Some(earlier) => self.release(earlier),
                None => self.on_server(source, |source| source.placed += 1),
            }
        }
        let reservation = Reservation {
            server,
            moving,
            holder: None,
        };
        if let Some(replaced) = self.reservations.insert(number, reservation, expires_at) {
            self.give_back(&replaced);
        }
        self.assignments += 1;
        let server = self.servers.get_mut(&server)?;
        server.reserved += 1;
        server.assigned_at = self.assignments;
        Some((&server.name, &server.address))
    }

    /// Counts a ticket that is out for whoever got it.
    pub(super) fn hold(&mut self, number: u64, holder: AddressKey) {
        if let Some(reservation) = self.reservations.get_mut(number)
            && reservation.holder.replace(holder).is_none()
        {
            *self.held.entry(holder).or_default() += 1;
        }
    }

    /// Tickets that are out for that holder.
    pub(super) fn held_by(&self, holder: AddressKey) -> u32 {
        self.held.get(&holder).copied().unwrap_or(0)
    }

    /// Forgets what is over at `now`. True where a ticket was.
    pub(super) fn expire(&mut self, now: u64) -> bool {
        let expired = self.totals.expired;
        while let Some((number, reservation)) = self.reservations.pop_expired(now) {
            self.totals.expired += 1;
            self.give_back(&reservation);
            self.announce_again(reservation.moving, number);
        }
        while let Some((_, known)) = self.moves.pop_expired(now) {
            self.forget(&known);
        }
        self.servers.retain(|_, server| {
            while server.arrived.front().is_some_and(|until| *until <= now) {
                server.arrived.pop_front();
            }
            server.link.is_some() || server.reserved > 0 || server.moves > 0
        });
        self.totals.expired > expired
    }

    /// Our tickets that are out for a link's server; `None` where the link was replaced.
    pub(super) fn reserved(&self, link: LinkId) -> Option<u64> {
        self.servers
            .get(&link.server)
            .filter(|server| server.link == Some(link.serial))
            .map(|server| server.reserved)
    }

    /// The attached servers as the control plane sees them.
    pub(super) fn attached(&self) -> Vec<BalancerServer> {
        let attached = self.servers.values().filter(|server| server.link.is_some());
        let mut servers: Vec<_> = attached
            .map(|server| BalancerServer {
                name: server.name.clone(),
                connections: server.connections,
                reserved: server.reserved,
                draining: server.draining,
            })
            .collect();
        servers.sort_by(|a, b| a.name.cmp(&b.name));
        servers
    }

    /// Counts since the start.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    fn is_current(&self, link: LinkId) -> bool {
        self.reserved(link).is_some()
    }

    fn takes_clients(&self, server: &Server) -> bool {
        let clients_max = self
            .policy
            .clients_max
            .get(&server.name)
            .copied()
            .filter(|max| *max > 0)
            .unwrap_or(u64::MAX);
        server.link.is_some() && !server.draining && !self.policy.excluded.contains(&server.name) && server.clients() < clients_max
    }

    /// Connections, and the tickets that became some of them, in one step.
    fn take_over(&mut self, now: u64, index: ServerIndex, reported: &Reported) {
        let mut redeemed = 0;
        for number in &reported.redeemed {
            redeemed += u64::from(self.redeem(now, index, *number));
        }
        for id in &reported.moving {
            self.announce(now, *id, index);
        }
        self.on_server(index, |server| {
            let left = (server.connections + redeemed).saturating_sub(reported.connections);
            let left = usize::try_from(left).unwrap_or(usize::MAX).min(server.arrived.len());
            server.arrived.drain(..left);
            server.connections = reported.connections;
            server.reserved_elsewhere = reported.reserved_elsewhere;
            server.draining = reported.draining;
        });
    }

    /// True where the ticket was one of ours, for this server, and still out.
    fn redeem(&mut self, now: u64, index: ServerIndex, number: u64) -> bool {
        if self.reservations.get(number).is_none_or(|known| known.server != index) {
            return false;
        }
        let Some(reservation) = self.reservations.remove(number) else {
            return false;
        };
        self.totals.redeemed += 1;
        self.give_back(&reservation);
        if let Some(known) = reservation.moving.and_then(|id| self.moves.remove(id)) {
            self.forget(&known);
            if known.ticket == Some(number) {
                self.on_server(known.source, |source| source.arrived.push_back(now + LEAVE_MS_MAX));
            }
        }
        true
    }

    fn announce(&mut self, now: u64, id: MoveId, source: ServerIndex) {
        if self.moves.get(id).is_some() {
            return;
        }
        if self.moves.len() >= MOVES_MAX
            && let Some((_, oldest)) = self.moves.pop_first()
        {
            self.forget(&oldest);
        }
        self.moves.insert(id, Move { source, ticket: None }, now + MOVE_MS_MAX);
        self.on_server(source, |source| source.moves += 1);
    }

    /// A placed move whose ticket is over counts at its source again.
    fn announce_again(&mut self, moving: Option<MoveId>, number: u64) {
        if let Some(known) = moving
            .and_then(|id| self.moves.get_mut(id))
            .filter(|known| known.ticket == Some(number))
        {
            known.ticket = None;
            let source = known.source;
            self.on_server(source, |source| source.placed -= 1);
        }
    }

    /// What a move that was taken out of the map means for its source.
    fn forget(&mut self, known: &Move) {
        self.on_server(known.source, |source| {
            source.moves -= 1;
            source.placed -= u64::from(known.ticket.is_some());
        });
    }

    /// Gives up a ticket for a newer one of the same move.
    fn release(&mut self, number: u64) {
        if let Some(reservation) = self.reservations.remove(number) {
            self.give_back(&reservation);
        }
    }

    /// A ticket is out no more.
    fn give_back(&mut self, reservation: &Reservation) {
        self.on_server(reservation.server, |server| server.reserved -= 1);
        if let Some(holder) = reservation.holder
            && let Some(held) = self.held.get_mut(&holder)
        {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&holder);
            }
        }
    }

    /// Whoever was connected there is no longer: nothing of it is to be taken off.
    fn end(&mut self, index: ServerIndex) {
        for known in self.moves.values_mut().filter(|known| known.source == index) {
            known.ticket = None;
        }
        self.on_server(index, |server| {
            server.link = None;
            server.connections = 0;
            server.reserved_elsewhere = 0;
            server.placed = 0;
            server.arrived.clear();
        });
    }

    fn on_server(&mut self, index: ServerIndex, change: impl FnOnce(&mut Server)) {
        if let Some(server) = self.servers.get_mut(&index) {
            change(server);
        }
    }
}

impl Server {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: String::new(),
            weight: 1.0,
            link: None,
            connections: 0,
            reserved_elsewhere: 0,
            draining: false,
            reserved: 0,
            moves: 0,
            placed: 0,
            arrived: VecDeque::new(),
            assigned_at: 0,
        }
    }
}
