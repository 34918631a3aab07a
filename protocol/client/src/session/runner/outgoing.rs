//! The loop's part that sends.

use super::Runner;
use crate::{
    connection::Connection,
    entry::Entry,
    limits::WAIT_MAX,
    outbox::{Outgoing, Payload, Settlement, Verdict, lanes::Finished},
    session::{backoff, event::SessionEvent, work},
};
use fastchat_wire::{
    LogId,
    chat::{append::Appended, entry::EntryEvent},
};
use std::sync::Arc;
use tokio::time::Instant;

impl Runner<'_> {
    /// Begins what can be sent; says when there is more.
    pub(super) fn begin_batches(&mut self, connection: &Connection, now: Instant) -> Instant {
        let released = self.lanes.release(now);
        while let Some(log) = self.lanes.start(now) {
            let outbox = Arc::clone(&self.shared.outbox);
            self.work.spawn(work::batch(connection.clone(), outbox, log, self.stores));
        }
        released.unwrap_or(now + WAIT_MAX)
    }

    /// A batch is over.
    pub(super) fn sent(&mut self, log: LogId, store: u64, connection: &Connection, batch: Vec<(Outgoing, Verdict)>) {
        let now = Instant::now();
        let mut finished = if batch.is_empty() { Finished::Nothing } else { Finished::Settled };
        for (outgoing, verdict) in batch {
            match verdict {
                Verdict::Settled(Settlement::Appended(appended)) => self.appended(outgoing, appended, store),
                Verdict::Settled(Settlement::Refused(refused)) => self.delivery.push(SessionEvent::Refused {
                    log,
                    entry: outgoing.entry,
                    refused,
                }),
                // The first one that must wait says how long; those behind it only follow.
                Verdict::Later(retry_after) if finished == Finished::Settled => {
                    let pause = backoff(&self.config.timing, self.lanes.attempts(log) + 1, rand::random());
                    finished = Finished::Held(now + retry_after.unwrap_or_default() + pause);
                }
                Verdict::Later(_) => {}
                Verdict::Unknown(failure) => {
                    tracing::debug!(%failure, "an entry's outcome is unknown: it is sent again");
                    connection.close();
                    if finished == Finished::Settled {
                        finished = Finished::Held(now);
                    }
                }
            }
        }
        self.lanes.finish(log, finished);
    }

    /// An own entry stands in its log: its number counts as seen.
    fn appended(&mut self, outgoing: Outgoing, appended: Appended, store: u64) {
        let (log, id) = (outgoing.log, outgoing.entry);
        if store == self.stores && self.ignored != Some(log) {
            let mut steps = Vec::new();
            let heard = match (outgoing.payload, &self.live) {
                (Payload::Append { kind, epoch, block }, Some(live)) => {
                    let head = EntryEvent {
                        log,
                        seq: appended.seq,
                        at: appended.at,
                        kind,
                        entry: id,
                        from: Some(live.account),
                        device: Some(live.device),
                        epoch,
                        block_sha256: None,
                    };
                    self.logs.heard(Entry { head, block }, self.delivery.has_room(), &mut steps)
                }
                // A commit may bring further entries with it.
                _ => self.logs.touched(log),
            };
            self.believe(heard);
            self.hand_out(steps);
        }
        self.delivery.push(SessionEvent::Sent { log, entry: id, appended });
    }
}
