//! Asking clients to move, at a pace (make before break).
//!
//! The balancers are told of each move a tick before its client is asked, so
//! that they know it when it comes. Who has been here longest is asked first:
//! nobody is sent on who has just come. Within a tick each client is told a
//! moment of its own, so that those who are asked together do not come together.

use super::{
    hub::{ConnectionId, Online},
    load::LoadMeter,
};
use fastchat_wire::{
    Block, MoveId,
    chat::move_to::{Move, MoveReason},
    encode_event,
};
use rand::RngExt;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Clients are asked in groups, so often.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// How many may have been asked when; pure.
#[derive(Debug)]
struct Pace {
    per_s: u32,
    given: u64,
}

impl Pace {
    /// How many more may be asked so long after the beginning.
    fn due(&self, elapsed: Duration) -> u64 {
        let all = elapsed.as_millis().saturating_mul(u128::from(self.per_s)) / 1_000;
        // The first one is not waited for.
        u64::try_from(all).unwrap_or(u64::MAX).saturating_add(1).saturating_sub(self.given)
    }
}

/// Clients that are asked, each once.
#[derive(Debug)]
pub(super) struct Asking {
    reason: MoveReason,
    pace: Pace,
    began: Instant,
    known: HashSet<ConnectionId>,
    /// Told to the balancers, and to be asked in the next tick.
    announced: Vec<(MoveId, Arc<Online>)>,
}

impl Asking {
    /// Begins now.
    pub(super) fn new(reason: MoveReason, clients_per_s: u32) -> Self {
        let pace = Pace {
            per_s: clients_per_s,
            given: 0,
        };
        Self {
            reason,
            pace,
            began: Instant::now(),
            known: HashSet::new(),
            announced: Vec::new(),
        }
    }

    /// How many were taken so far.
    pub(super) fn asked(&self) -> u64 {
        self.pace.given
    }

    /// True for who was taken.
    pub(super) fn has_asked(&self, connection: ConnectionId) -> bool {
        self.known.contains(&connection)
    }

    /// True where nobody is left to be asked in the next tick.
    pub(super) fn is_idle(&self) -> bool {
        self.announced.is_empty()
    }

    /// One tick: asks those who were announced in the last one, and announces the next of `clients`, `most` at most.
    /// Whoever is asked is to be gone by `deadline`.
    pub(super) fn tick(&mut self, load: &LoadMeter, mut clients: Vec<Arc<Online>>, most: u64, deadline: Instant) {
        for (id, online) in self.announced.drain(..) {
            ask(&online, id, self.reason, deadline);
        }
        clients.retain(|online| !self.known.contains(&online.connection));
        clients.sort_unstable_by_key(|online| (online.since, online.connection.0));
        let due = self.pace.due(self.began.elapsed()).min(most);
        for online in clients.into_iter().take(usize::try_from(due).unwrap_or(usize::MAX)) {
            let id = MoveId::from(uuid::Uuid::now_v7());
            self.pace.given += 1;
            self.known.insert(online.connection);
            load.moving(id);
            self.announced.push((id, online));
        }
    }
}

fn ask(online: &Online, id: MoveId, reason: MoveReason, deadline: Instant) {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let within_ms = ms(deadline.saturating_duration_since(Instant::now()));
    let jitter = rand::rng().random_range(0..ms(TICK));
    let event = Move {
        id,
        reason,
        after_ms: jitter.min(within_ms / 2),
        within_ms,
    };
    match encode_event(None, &event, &Block::none()) {
        // Not dropped like a push: a client that is behind has to move too.
        Ok(frame) => online.outbox.answer(frame),
        Err(error) => tracing::error!(%error, "a move can't be written"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_paces_are_kept_as_well_as_fast_ones() {
        let due = |per_s, ms, given| Pace { per_s, given }.due(Duration::from_millis(ms));
        assert_eq!(due(1, 0, 0), 1, "the first at once");
        assert_eq!(due(1, 999, 1), 0);
        assert_eq!(due(1, 1_000, 1), 1);
        assert_eq!(due(500, 100, 1), 50);
        assert_eq!(due(u32::MAX, u64::MAX, u64::MAX), 0);
    }
}
