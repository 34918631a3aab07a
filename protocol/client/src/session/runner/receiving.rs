//! The loop's part that receives.

use super::Runner;
use crate::{
    chat::{Listing, Page},
    connection::Connection,
    error::Failure,
    event::Event,
    limits::{FETCHES_MAX, WAIT_MAX},
    session::{event::SessionEvent, work},
    sync::Step,
};
use fastchat_wire::{Code, LogId};
use std::sync::Arc;
use tokio::time::Instant;

impl Runner<'_> {
    /// Begins the fetches that are due; says when there is more.
    pub(super) fn begin_fetches(&mut self, connection: &Connection, now: Instant) -> Instant {
        let mut wake_at = now + WAIT_MAX;
        if let Some(until) = self.fetch_pause {
            if until > now {
                return until;
            }
            self.fetch_pause = None;
        }
        while self.fetches < FETCHES_MAX {
            let (lanes, patience) = (&self.lanes, self.config.timing.hole_patience);
            let due = self.logs.begin_fetch(|log| match lanes.hole_deadline(log, patience) {
                Some(deadline) if deadline > now => {
                    wake_at = wake_at.min(deadline);
                    true
                }
                _ => false,
            });
            let Some((log, after)) = due else {
                break;
            };
            self.fetches += 1;
            self.work.spawn(work::fetch(connection.clone(), log, after, self.stores));
        }
        wake_at
    }

    /// What the account can read: what is beyond the cursors is fetched.
    pub(super) fn listed(&mut self, listing: Listing) {
        let conversations = listing.conversations.iter().map(|found| (found.conversation, found.last_seq));
        let own = listing
            .inbox
            .iter()
            .chain(&listing.archive)
            .map(|bounds| (bounds.log, bounds.last_seq));
        for (log, last_seq) in conversations.chain(own) {
            self.rung(log, last_seq);
        }
        self.delivery.push(SessionEvent::Listed(Arc::new(listing)));
        self.catching_up = true;
    }

    fn rung(&mut self, log: LogId, last_seq: u64) {
        if self.ignored != Some(log) {
            let rung = self.logs.rung(log, last_seq);
            self.believe(rung);
        }
    }

    /// Something was pushed.
    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Entry(entry) if self.ignored == Some(entry.log()) => {}
            Event::Entry(entry) => {
                let mut steps = Vec::new();
                let heard = self.logs.heard(entry, self.delivery.has_room(), &mut steps);
                self.believe(heard);
                self.hand_out(steps);
            }
            Event::Behind(behind) => match (behind.log, behind.last_seq) {
                (Some(log), Some(last_seq)) => self.rung(log, last_seq),
                (Some(log), None) if self.ignored != Some(log) => {
                    let touched = self.logs.touched(log);
                    self.believe(touched);
                }
                (Some(_), None) => {}
                (None, _) => self.list_again = true,
            },
            Event::Move(moving) => self.moving(&moving),
            Event::Mark(mark) => self.delivery.push(SessionEvent::Mark(mark)),
            Event::Signal(signal, block) => self.delivery.push(SessionEvent::Signal(signal, block)),
            Event::Device(device) => self.delivery.push(SessionEvent::Device(device)),
            Event::Presence(presence) => self.delivery.push(SessionEvent::Presence(presence)),
        }
    }

    /// A fetch is over.
    pub(super) fn fetched(&mut self, log: LogId, connection: &Connection, page: Result<Page, Failure>) {
        match page {
            Ok(page) => {
                let mut steps = Vec::new();
                let fetched = self.logs.fetched(log, page, &mut steps);
                self.hand_out(steps);
                if let Err(wrong) = fetched {
                    tracing::warn!(wrong, "a page that can't be");
                    connection.close();
                }
            }
            Err(failure) if failure.code() == Some(Code::NotMember) => {
                self.logs.forget(log);
                self.delivery.push(SessionEvent::NotMember(log));
            }
            Err(failure) => {
                self.logs.fetch_failed(log);
                self.pause_or_close(connection, &failure);
            }
        }
    }

    /// A refusal is waited out; after anything else the connection is no good.
    pub(super) fn pause_or_close(&mut self, connection: &Connection, failure: &Failure) {
        match failure {
            Failure::Refused(refused) if !refused.ends_the_connection() => {
                let pause = refused.retry_after.unwrap_or_default() + self.config.timing.backoff_min;
                self.fetch_pause = Some(Instant::now() + pause);
            }
            _ => connection.close(),
        }
    }

    pub(super) fn hand_out(&mut self, steps: Vec<Step>) {
        let Some(store) = &self.store else {
            return;
        };
        for step in steps {
            self.delivery.push(match step {
                Step::Entry(entry) => SessionEvent::Entry {
                    entry,
                    store: Arc::clone(store),
                },
                Step::Gap { log, after, first } => SessionEvent::Gap { log, after, first },
            });
        }
    }
}
