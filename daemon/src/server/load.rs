//! What this server tells its balancers: connections, bytes, redeemed tickets, moves.
//!
//! One lock over the count and the tickets, so that a ticket and the connection
//! that it became are always told together.

use crate::{fleet_key::FleetKey, ticket};
use fastchat_wire::{MoveId, Secret, link::load::Load};
use prometheus::{IntCounter, IntGauge};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// Redeemed tickets and moves are told again to a balancer that attaches within this time.
const REMEMBERED: Duration = Duration::from_secs(30);

/// Redeemed tickets beyond which the expired ones are forgotten.
const REDEEMED_KEPT: usize = 1_024;

/// Tickets and moves that fit into the header of one `load`; the rest follows in the next one.
pub(crate) const TOLD_PER_LOAD_MAX: usize = 128;

/// What this server carries.
#[derive(Debug)]
pub(crate) struct LoadMeter {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    connections: IntGauge,
    bytes_in: IntCounter,
    bytes_out: IntCounter,
}

#[derive(Debug, Default)]
struct State {
    connections: u64,
    draining: bool,
    /// Numbered from 0; the first one kept is `forgotten`.
    told: VecDeque<(Instant, Told)>,
    forgotten: u64,
    /// Numbers of redeemed tickets, with their expiry in ms since the Unix epoch.
    redeemed: HashMap<u64, u64>,
    /// The expired ones are forgotten when there are so many.
    redeemed_swept_at: usize,
    /// What each balancer has reserved here.
    reserved: HashMap<String, u64>,
}

#[derive(Debug, Clone)]
enum Told {
    Redeemed(Secret),
    Moving(MoveId),
}

/// The ticket is forged, foreign, expired or already redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadTicket;

impl LoadMeter {
    /// Nothing yet; the gauge follows the count.
    pub(crate) fn new(connections: IntGauge, bytes_in: IntCounter, bytes_out: IntCounter) -> Self {
        Self {
            state: Mutex::default(),
            changed: watch::Sender::new(()),
            connections,
            bytes_in,
            bytes_out,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes on every change.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A connection said `hello`, perhaps with a ticket: `now_ms` since the Unix epoch.
    ///
    /// # Errors
    /// The ticket is bad; nothing was counted.
    pub(crate) fn opened(&self, key: &FleetKey, server: &str, given: Option<&Secret>, now_ms: u64) -> Result<(), BadTicket> {
        let mut state = self.state();
        if let Some(given) = given {
            let ticket = ticket::verify(key, server, given, now_ms).ok_or(BadTicket)?;
            if state.redeemed.len() >= state.redeemed_swept_at {
                state.redeemed.retain(|_, expires_at| *expires_at >= now_ms);
                state.redeemed_swept_at = (2 * state.redeemed.len()).max(REDEEMED_KEPT);
            }
            if state.redeemed.insert(ticket.number, ticket.expires_at).is_some() {
                return Err(BadTicket);
            }
            state.tell(Told::Redeemed(given.clone()));
        }
        state.connections += 1;
        self.settle(state);
        Ok(())
    }

    /// A connection past `hello` ended.
    pub(crate) fn closed(&self) {
        let mut state = self.state();
        state.connections = state.connections.saturating_sub(1);
        self.settle(state);
    }

    /// A client was asked to move.
    pub(crate) fn moving(&self, id: MoveId) {
        let mut state = self.state();
        state.tell(Told::Moving(id));
        self.settle(state);
    }

    /// Takes no new clients, or does again.
    pub(crate) fn set_draining(&self, draining: bool) {
        let mut state = self.state();
        state.draining = draining;
        self.settle(state);
    }

    /// True where no new clients are taken.
    pub(crate) fn is_draining(&self) -> bool {
        self.state().draining
    }

    /// Connections past `hello`.
    pub(crate) fn connections(&self) -> u64 {
        self.state().connections
    }

    /// A balancer said how much it has reserved here; `None` where its link ended.
    pub(crate) fn reserved(&self, balancer: &str, count: Option<u64>) {
        let mut state = self.state();
        match count {
            Some(count) => state.reserved.insert(balancer.to_owned(), count),
            None => state.reserved.remove(balancer),
        };
        self.settle(state);
    }

    /// The load as one balancer is told it, with what is new since `cursor` (0:
    /// what is remembered), and the next cursor. After [`TOLD_PER_LOAD_MAX`] of
    /// them there may be more.
    pub(crate) fn load(&self, balancer: &str, cursor: u64) -> (Load, u64) {
        let state = self.state();
        let skip = usize::try_from(cursor.saturating_sub(state.forgotten)).unwrap_or(usize::MAX);
        let mut load = Load {
            connections: state.connections,
            bytes_out: self.bytes_out.get(),
            bytes_in: self.bytes_in.get(),
            draining: state.draining,
            reserved_elsewhere: state
                .reserved
                .iter()
                .filter(|(name, _)| *name != balancer)
                .map(|(_, count)| count)
                .sum(),
            ..Load::default()
        };
        let mut told_now = 0;
        for (_, told) in state.told.iter().skip(skip).take(TOLD_PER_LOAD_MAX) {
            told_now += 1;
            match told {
                Told::Redeemed(ticket) => load.redeemed.push(ticket.clone()),
                Told::Moving(id) => load.moving.push(*id),
            }
        }
        (load, cursor.max(state.forgotten) + told_now)
    }

    fn settle(&self, state: MutexGuard<'_, State>) {
        self.connections.set(i64::try_from(state.connections).unwrap_or(i64::MAX));
        drop(state);
        self.changed.send_replace(());
    }
}

impl State {
    fn tell(&mut self, told: Told) {
        let now = Instant::now();
        while self.told.front().is_some_and(|(at, _)| now.duration_since(*at) > REMEMBERED) {
            self.told.pop_front();
            self.forgotten += 1;
        }
        self.told.push_back((now, told));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::Ticket;
    use fastchat_wire::Secret32;

    fn meter() -> LoadMeter {
        LoadMeter::new(
            IntGauge::new("c", "c").unwrap(),
            IntCounter::new("i", "i").unwrap(),
            IntCounter::new("o", "o").unwrap(),
        )
    }

    #[test]
    fn a_ticket_is_redeemed_once_and_told_together_with_its_connection() {
        let key = FleetKey::new(Secret32::new([1; 32]));
        let meter = meter();
        let given = ticket::issue(&key, "s1", Ticket { number: 1, expires_at: 10 });
        assert_eq!(meter.opened(&key, "s1", Some(&given), 5), Ok(()));
        assert_eq!(meter.opened(&key, "s1", Some(&given), 5), Err(BadTicket), "redeemed already");
        assert_eq!(meter.opened(&key, "s2", Some(&given), 5), Err(BadTicket), "foreign");
        let (load, cursor) = meter.load("b1", 0);
        assert_eq!((load.connections, load.redeemed), (1, vec![given]));
        assert_eq!(meter.opened(&key, "s1", None, 5), Ok(()));
        let (load, _) = meter.load("b1", cursor);
        assert_eq!((load.connections, load.redeemed.len()), (2, 0));
    }

    #[test]
    fn of_redeemed_tickets_only_those_that_still_count_are_kept() {
        let key = FleetKey::new(Secret32::new([1; 32]));
        let meter = meter();
        for number in 0..10_000 {
            let expires_at = number + 10;
            let given = ticket::issue(&key, "s1", Ticket { number, expires_at });
            assert_eq!(meter.opened(&key, "s1", Some(&given), number), Ok(()));
            assert_eq!(
                meter.opened(&key, "s1", Some(&given), expires_at),
                Err(BadTicket),
                "to its last moment"
            );
        }
        assert!(meter.state().redeemed.len() <= REDEEMED_KEPT);
    }

    #[test]
    fn a_balancer_hears_of_the_others_reservations_only() {
        let meter = meter();
        meter.reserved("b1", Some(3));
        meter.reserved("b2", Some(4));
        assert_eq!(meter.load("b1", 0).0.reserved_elsewhere, 4);
        meter.reserved("b2", None);
        assert_eq!(meter.load("b1", 0).0.reserved_elsewhere, 0);
    }
}
