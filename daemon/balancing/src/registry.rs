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

mod ejection;
mod expiring;
mod moves;
mod server;
#[cfg(test)]
mod tests;

use crate::HolderKey;
use crate::{
    imbalance::imbalance,
    shadow::Standing,
    strategy::{Candidate, ServerIndex},
};
use expiring::Expiring;
use fastchat_wire::{MoveId, control::BalancerServer};
use moves::{LEAVE_MS_MAX, Move};
use server::Server;
use std::collections::{BTreeMap, HashMap, HashSet};

/// One link of one server; a newer one of the same server replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkId {
    server: ServerIndex,
    serial: u64,
}

/// The link was replaced, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced;

/// What a server says of itself.
#[derive(Debug, Clone, Default)]
pub struct Reported {
    /// Connections past `hello`.
    pub connections: u64,
    /// Reservations of the other balancers.
    pub reserved_elsewhere: u64,
    /// Sent to clients since its start.
    pub bytes_out: u64,
    /// Takes no new clients.
    pub draining: bool,
    /// Numbers of the tickets that became connections.
    pub redeemed: Vec<u64>,
    /// Moves that it asked clients to make.
    pub moving: Vec<MoveId>,
}

/// What the operator says of the servers, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Get no new clients.
    pub excluded: HashSet<String>,
    /// Most clients; absent or 0 is no limit.
    pub clients_max: HashMap<String, u64>,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tickets of ours that became connections.
    pub redeemed: u64,
    /// Tickets of ours that nobody used.
    pub expired: u64,
}

#[derive(Debug)]
struct Reservation {
    server: ServerIndex,
    moving: Option<MoveId>,
    /// Whose ticket it is, where that is counted.
    holder: Option<HolderKey>,
    reserved_at: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Registry {
    servers: BTreeMap<ServerIndex, Server>,
    reservations: Expiring<u64, Reservation>,
    /// Tickets that are out, by holder; nobody is in it without one.
    held: HashMap<HolderKey, u32>,
    moves: Expiring<MoveId, Move>,
    policy: Policy,
    slow_start_ms: u64,
    servers_seen: u32,
    links_seen: u64,
    assignments: u64,
    totals: Totals,
    /// The latest time that the caller brought.
    now: u64,
    /// Nothing of the servers is over before.
    sweep_at: u64,
}

impl Registry {
    /// Takes over what the operator says.
    pub fn set_policy(&mut self, policy: Policy) {
        for server in self.servers.values_mut() {
            server.follow(&policy);
        }
        self.policy = policy;
    }

    /// A server that comes to others gets its whole share after this time; 0: at once.
    pub fn set_slow_start(&mut self, ms: u64) {
        self.slow_start_ms = ms;
    }

    /// A server joins, or joins again: what was known of its link is replaced, its tickets stay.
    pub fn attach(&mut self, now: u64, name: &str, address: String, weight: f64, reported: &Reported) -> LinkId {
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
        server.follow(&self.policy);
        server.attach(now, address, weight, serial, reported.connections);
        self.take_over(now, index, reported);
        LinkId { server: index, serial }
    }

    /// A server reports its load.
    ///
    /// # Errors
    /// The link was replaced by a newer one.
    pub fn load(&mut self, now: u64, link: LinkId, reported: &Reported) -> Result<(), Replaced> {
        if !self.is_current(link) {
            return Err(Replaced);
        }
        self.take_over(now, link.server, reported);
        Ok(())
    }

    /// A link has ended: its server is gone at once, unless it has a newer link.
    pub fn detach(&mut self, link: LinkId) {
        if self.is_current(link) {
            self.end(link.server);
        }
    }

    /// The servers that may get the next client, in order of their index; not the one that `leaving` moves it away from.
    pub fn candidates(&mut self, now: u64, leaving: Option<MoveId>) -> Vec<Candidate> {
        self.expire(now);
        let source = leaving.and_then(|id| self.moves.get(id)).map(|known| known.source);
        let open = || {
            let servers = self.servers.iter();
            servers.filter(|(index, server)| Some(**index) != source && server.takes_clients())
        };
        // Better one in doubt than none.
        let all_in_doubt = open().all(|(_, server)| server.doubts.is_ejected(now));
        let mut candidates = Vec::with_capacity(self.servers.len());
        let mut newcomers = Vec::new();
        for (index, server) in open().filter(|(_, server)| all_in_doubt || !server.doubts.is_ejected(now)) {
            if let Some(part) = server.started(now, self.slow_start_ms) {
                newcomers.push((candidates.len(), part));
            }
            candidates.push(server.candidate(*index));
        }
        // Where all are new there is nobody else to carry their share.
        if newcomers.len() < candidates.len() {
            for (at, part) in newcomers {
                candidates[at].weight *= part;
            }
        }
        candidates
    }

    /// Tickets that are out, for all servers; the caller bounds them.
    pub fn outstanding(&self) -> usize {
        self.reservations.len()
    }

    /// Reserves a place under a ticket's number until `expires_at`. A move has one place: an earlier ticket's is given up.
    /// Gives the server's name and address.
    pub fn reserve(&mut self, server: ServerIndex, number: u64, expires_at: u64, moving: Option<MoveId>) -> Option<(&str, &str)> {
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
            reserved_at: self.now,
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
    pub fn hold(&mut self, number: u64, holder: HolderKey) {
        if let Some(reservation) = self.reservations.get_mut(number)
            && reservation.holder.replace(holder).is_none()
        {
            *self.held.entry(holder).or_default() += 1;
        }
    }

    /// Tickets that are out for that holder.
    pub fn held_by(&self, holder: HolderKey) -> u32 {
        self.held.get(&holder).copied().unwrap_or(0)
    }

    /// Forgets what is over at `now`. True where a ticket was.
    pub fn expire(&mut self, now: u64) -> bool {
        self.now = self.now.max(now);
        let expired = self.totals.expired;
        while let Some((number, reservation)) = self.reservations.pop_expired(now) {
            self.totals.expired += 1;
            self.give_back(&reservation);
            self.announce_again(reservation.moving, number);
            self.doubt(now, &reservation);
        }
        while let Some((_, known)) = self.moves.pop_expired(now) {
            self.forget(&known);
        }
        if self.sweep_at <= now {
            self.sweep_at = u64::MAX;
            self.servers.retain(|_, server| {
                self.sweep_at = self.sweep_at.min(server.sweep(now));
                server.is_known()
            });
        }
        self.totals.expired > expired
    }

    /// Our tickets that are out for a link's server; `None` where the link was replaced.
    pub fn reserved(&self, link: LinkId) -> Option<u64> {
        self.servers
            .get(&link.server)
            .filter(|server| server.link == Some(link.serial))
            .map(|server| server.reserved)
    }

    /// The attached servers as the control plane sees them.
    pub fn attached(&self) -> Vec<BalancerServer> {
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

    /// How uneven the servers are that share the clients: attached, and neither draining nor excluded.
    #[must_use]
    pub fn imbalance(&self) -> f64 {
        imbalance(self.sharing().map(|(_, server)| (server.clients(), server.weight)))
    }

    /// The same servers, in order of their index.
    pub fn standings(&self) -> impl Iterator<Item = Standing> {
        self.sharing().map(|(index, server)| server.standing(index))
    }

    /// A server's name; empty where there is none.
    #[must_use]
    pub fn name(&self, index: ServerIndex) -> &str {
        self.servers.get(&index).map_or("", |server| &server.name)
    }

    fn sharing(&self) -> impl Iterator<Item = (ServerIndex, &Server)> + Clone {
        let sharing = self.servers.iter().filter(|(_, server)| server.shares());
        sharing.map(|(index, server)| (*index, server))
    }

    /// Counts since the start.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn is_current(&self, link: LinkId) -> bool {
        self.reserved(link).is_some()
    }

    /// Connections, and the tickets that became some of them, in one step.
    fn take_over(&mut self, now: u64, index: ServerIndex, reported: &Reported) {
        self.now = self.now.max(now);
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
            server.sent(reported.bytes_out);
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
        self.on_server(index, |server| server.doubts.arrived(now));
        if let Some(known) = reservation.moving.and_then(|id| self.moves.remove(id)) {
            self.forget(&known);
            if known.ticket == Some(number) {
                let until = now + LEAVE_MS_MAX;
                self.sweep_at = self.sweep_at.min(until);
                self.on_server(known.source, |source| source.arrived.push_back(until));
            }
        }
        true
    }

    /// Gives up a ticket for a newer one of the same move.
    fn release(&mut self, number: u64) {
        if let Some(reservation) = self.reservations.remove(number) {
            self.give_back(&reservation);
        }
    }

    /// A ticket is out no more.
    fn give_back(&mut self, reservation: &Reservation) {
        self.sweep_at = 0;
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
        self.sweep_at = 0;
        self.keep_ejections_few();
    }

    fn on_server(&mut self, index: ServerIndex, change: impl FnOnce(&mut Server)) {
        if let Some(server) = self.servers.get_mut(&index) {
            change(server);
        }
    }
}
