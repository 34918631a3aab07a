//! Ejection: a server whose assigned clients don't arrive gets none for a while.
//!
//! A server may be attached and yet out of its clients' reach (a firewall, a
//! wrong address). What shows it: tickets for it expire and none is redeemed,
//! while the other servers' are. A client can fake the first half by taking
//! tickets and never coming, so that must gain him nothing:
//!
//! - One arrival at the server ends all doubts: only tickets that were issued
//!   after its last arrival count. Where clients do arrive, nobody can hide it.
//! - [`ADDRESSES_MIN`] client addresses must have failed; one counts once, and
//!   all those that limits exempt together as one.
//! - Clients must have arrived elsewhere meanwhile: where nobody arrives anywhere
//!   it isn't the server.
//! - At most a third of the attached servers is ejected at a time (none of one
//!   or two), and where nobody else takes clients the ejected ones do.
//! - It ends by itself, after [`EJECTED_MS`] at first, twice as long each
//!   time up to [`EJECTED_MS_MAX`], and with the first arrival.
//!
//! What is left: someone with many addresses can keep up to a third of the
//! servers out of use while no one else arrives there, which is while nobody needs them.

use super::{Registry, Reservation};
use crate::HolderKey;

/// So many client addresses must have failed to arrive.
const ADDRESSES_MIN: usize = 5;
/// How long the first ejection takes.
const EJECTED_MS: u64 = 5_000;
/// How long one takes at most.
const EJECTED_MS_MAX: u64 = 300_000;
/// One of so many attached servers may be ejected.
const SERVERS_PER_EJECTED: usize = 3;

/// What speaks against one server.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Whose tickets expired since its last arrival; `None` is everybody whom limits exempt.
    missing: Vec<Option<HolderKey>>,
    /// When the first of those tickets was issued.
    since: u64,
    /// When a ticket of ours was redeemed there last.
    arrived_at: Option<u64>,
    ejected_until: u64,
    /// Ejections since the last arrival.
    times: u32,
}

impl Doubts {
    pub(super) fn is_ejected(&self, now: u64) -> bool {
        now < self.ejected_until
    }

    /// A client has arrived: all is well.
    pub(super) fn arrived(&mut self, now: u64) {
        *self = Self {
            arrived_at: Some(now),
            ..Self::default()
        };
    }

    /// A ticket has expired. True where enough have.
    fn missed(&mut self, holder: Option<HolderKey>, issued_at: u64) -> bool {
        if self.arrived_at.is_some_and(|at| at >= issued_at) || self.missing.contains(&holder) {
            return false;
        }
        if self.missing.is_empty() {
            self.since = issued_at;
        }
        self.since = self.since.min(issued_at);
        if self.missing.len() < ADDRESSES_MIN {
            self.missing.push(holder);
        }
        self.missing.len() >= ADDRESSES_MIN
    }

    fn eject(&mut self, now: u64) {
        let ms = EJECTED_MS.saturating_mul(1 << self.times.min(16)).min(EJECTED_MS_MAX);
        self.ejected_until = now.saturating_add(ms);
        self.times = self.times.saturating_add(1);
        self.missing.clear();
    }
}

impl Registry {
    /// A ticket has expired: perhaps its server is out of reach.
    pub(super) fn doubt(&mut self, now: u64, expired: &Reservation) {
        let index = expired.server;
        let Some(server) = self.servers.get_mut(&index) else { return };
        // Who moves stays where he is until he has arrived, and may think better of it.
        if expired.moving.is_some() || server.link.is_none() || server.doubts.is_ejected(now) {
            return;
        }
        if !server.doubts.missed(expired.holder, expired.reserved_at) {
            return;
        }
        let since = server.doubts.since;
        let mut others = self
            .servers
            .iter()
            .filter(|(other, server)| **other != index && server.link.is_some());
        let arrive_elsewhere = others.any(|(_, server)| server.doubts.arrived_at.is_some_and(|at| at >= since));
        let (attached, ejected) = self.ejections(now);
        if arrive_elsewhere
            && (ejected + 1) * SERVERS_PER_EJECTED <= attached
            && let Some(server) = self.servers.get_mut(&index)
        {
            server.doubts.eject(now);
        }
    }

    /// After a server has gone: those whose ejections end first are let back in.
    pub(super) fn keep_ejections_few(&mut self) {
        let now = self.now;
        loop {
            let (attached, ejected) = self.ejections(now);
            if ejected * SERVERS_PER_EJECTED <= attached {
                return;
            }
            let ejected = self
                .servers
                .values_mut()
                .filter(|server| server.link.is_some() && server.doubts.is_ejected(now));
            let Some(next) = ejected.min_by_key(|server| server.doubts.ejected_until) else {
                return;
            };
            next.doubts.ejected_until = 0;
        }
    }

    /// The ejected servers' names.
    #[must_use]
    pub fn ejected(&self) -> Vec<String> {
        let attached = self.servers.values().filter(|server| server.link.is_some());
        let ejected = attached.filter(|server| server.doubts.is_ejected(self.now));
        ejected.map(|server| server.name.clone()).collect()
    }

    /// Attached servers, and those of them that are ejected.
    fn ejections(&self, now: u64) -> (usize, usize) {
        let attached = self.servers.values().filter(|server| server.link.is_some());
        let count = |(attached, ejected), server: &super::Server| (attached + 1, ejected + usize::from(server.doubts.is_ejected(now)));
        attached.fold((0, 0), count)
    }
}
