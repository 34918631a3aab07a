//! The loop's part that finds servers, and leaves them.

use super::{Arrival, Live, Runner};
use crate::{
    connection::Closed,
    error::Error,
    limits::WAIT_MAX,
    session::{
        arrive::{Arrived, arrive},
        event::SessionEvent,
        work::Done,
    },
    sync::Logs,
};
use fastchat_wire::{LogId, chat::move_to::Move};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

impl Runner<'_> {
    /// Begins a try whose time has come; says when the next one's comes.
    pub(super) fn begin_arrival(&mut self, now: Instant) -> Instant {
        let Arrival::At(at, move_id) = self.arrival else {
            return now + WAIT_MAX;
        };
        if at > now {
            return at;
        }
        self.arrival = Arrival::UnderWay(move_id);
        let try_it = arrive(
            Arc::clone(&self.config),
            Arc::clone(&self.shared.journal),
            self.store.as_deref().map(str::to_owned),
            self.course.balancer(),
            move_id,
        );
        self.work.spawn(async { Done::Arrived(try_it.await) });
        now + WAIT_MAX
    }

    /// A try failed: the next one's time.
    pub(super) fn failed_to_arrive(&mut self, error: &Error, retry_after: Option<Duration>) {
        let pause = self.course.failed(&self.config.timing, retry_after, rand::random());
        // Still live: a move that fails goes on with its id, until the server closes.
        let move_id = match self.arrival {
            Arrival::UnderWay(move_id) if self.live.is_some() => move_id,
            _ => None,
        };
        self.arrival = Arrival::At(Instant::now() + pause, move_id);
        if self.live.is_none() {
            if retry_after.is_some() {
                self.config.waits.asked(pause);
            }
            self.away(error.to_string(), pause);
        }
    }

    pub(super) fn arrived(&mut self, arrived: Arrived) {
        self.arrival = Arrival::None;
        if self.store.as_deref() != Some(&arrived.store) {
            if self.store.is_some() {
                self.delivery.push(SessionEvent::StoreChanged);
            }
            self.store = Some(arrived.store.into());
            self.stores += 1;
            self.logs = Logs::default();
        }
        self.ignored = (!self.config.follow_archive).then(|| LogId::archive_of(arrived.account));
        self.shared.marks.is(arrived.account);
        self.delivery.push(SessionEvent::Live {
            server: arrived.server,
            account: arrived.account,
            device: arrived.device,
        });
        let live = Live {
            connection: arrived.connection,
            since: Instant::now(),
            account: arrived.account,
            device: arrived.device,
        };
        let _ = self.announce.send(Some(live.connection.clone()));
        if let Some(left) = self.live.replace(live) {
            self.leaving = Some((left, Instant::now() + self.config.timing.farewell));
        }
        self.pause = None;
        self.listed(arrived.listing);
        self.ask_outbox_again = true;
    }

    /// The server asks to go.
    pub(super) fn moving(&mut self, moving: &Move) {
        if matches!(self.arrival, Arrival::None) {
            let after = Duration::from_millis(moving.after_ms).min(WAIT_MAX);
            self.arrival = Arrival::At(Instant::now() + after, Some(moving.id));
        }
    }

    /// The connection is over: back to a balancer.
    pub(super) fn lost(&mut self, closed: &Closed) {
        let Some(live) = self.live.take() else {
            return;
        };
        let _ = self.announce.send(None);
        let mut pause = self.course.lost(&self.config.timing, live.since.elapsed(), rand::random());
        if let Closed::Told(refused) = closed
            && let Some(after) = refused.retry_after
        {
            pause += after;
            self.config.waits.asked(pause);
        }
        match self.arrival {
            // A move is under way: it arrives as well without the old server.
            Arrival::UnderWay(_) => {}
            Arrival::None | Arrival::At(..) => self.arrival = Arrival::At(Instant::now() + pause, None),
        }
        self.away(closed.to_string(), pause);
    }

    pub(super) fn away(&mut self, reason: String, retry_after: Duration) {
        tracing::debug!(reason, ?retry_after, "no server");
        self.delivery.push(SessionEvent::Away { reason, retry_after });
    }
}
