//! What waits for the consumer: bounded.
//!
//! While it is full no pushes are taken, no fetches and no batches begin; what
//! is under way still fits. Hints and old statuses give way.

use super::event::SessionEvent;
use crate::limits::{HINTS_MAX, READY_BYTES_MAX, READY_ENTRIES_MAX};
use std::{collections::VecDeque, mem::discriminant};

/// Statuses that wait at most; beyond, the oldest ones are dropped.
const STATUSES_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Delivery {
    queue: VecDeque<SessionEvent>,
    bytes: usize,
    /// Events that are neither hints nor statuses.
    firm: usize,
    hints: usize,
    statuses: usize,
}

#[derive(PartialEq, Eq)]
enum Sort {
    Firm,
    Hint,
    Status,
}

fn sort(event: &SessionEvent) -> Sort {
    match event {
        SessionEvent::Mark(_) | SessionEvent::Signal(..) | SessionEvent::Device(_) | SessionEvent::Presence(_) => Sort::Hint,
        SessionEvent::Live { .. } | SessionEvent::Away { .. } | SessionEvent::Listed(_) | SessionEvent::CaughtUp => Sort::Status,
        SessionEvent::Entry { .. }
        | SessionEvent::Gap { .. }
        | SessionEvent::StoreChanged
        | SessionEvent::NotMember(_)
        | SessionEvent::Sent { .. }
        | SessionEvent::Refused { .. } => Sort::Firm,
    }
}

fn bytes(event: &SessionEvent) -> usize {
    match event {
        SessionEvent::Entry { entry, .. } => entry.cost(),
        SessionEvent::Signal(_, block) => block.len(),
        _ => 0,
    }
}

impl Delivery {
    /// There is room for more than what is under way.
    pub(super) fn has_room(&self) -> bool {
        self.firm < READY_ENTRIES_MAX && self.bytes < READY_BYTES_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn push(&mut self, event: SessionEvent) {
        match sort(&event) {
            Sort::Firm => self.firm += 1,
            Sort::Hint if self.hints >= HINTS_MAX || !self.has_room() => return,
            Sort::Hint => self.hints += 1,
            Sort::Status => {
                // A later one says all that an earlier one said.
                if matches!(event, SessionEvent::Listed(_) | SessionEvent::CaughtUp) {
                    self.drop_first(|queued| discriminant(queued) == discriminant(&event));
                }
                if self.statuses >= STATUSES_MAX {
                    self.drop_first(|queued| sort(queued) == Sort::Status);
                }
                self.statuses += 1;
            }
        }
        self.bytes += bytes(&event);
        self.queue.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<SessionEvent> {
        let event = self.queue.pop_front()?;
        self.forget(&event);
        Some(event)
    }

    fn drop_first(&mut self, which: impl Fn(&SessionEvent) -> bool) {
        if let Some(event) = self.queue.iter().position(which).and_then(|at| self.queue.remove(at)) {
            self.forget(&event);
        }
    }

    fn forget(&mut self, event: &SessionEvent) {
        self.bytes -= bytes(event);
        match sort(event) {
            Sort::Firm => self.firm -= 1,
            Sort::Hint => self.hints -= 1,
            Sort::Status => self.statuses -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::{AccountId, chat::presence::Presence};
    use std::time::Duration;

    #[test]
    fn a_consumer_that_takes_nothing_costs_a_bounded_queue() {
        let mut delivery = Delivery::default();
        for n in 0..10_000 {
            delivery.push(SessionEvent::Away {
                reason: n.to_string(),
                retry_after: Duration::ZERO,
            });
            delivery.push(SessionEvent::Presence(Presence {
                account: AccountId([1; 16]),
                online: true,
            }));
            delivery.push(SessionEvent::Listed(Default::default()));
        }
        assert_eq!(delivery.queue.len(), HINTS_MAX + STATUSES_MAX);
        while delivery.pop().is_some() {}
        assert_eq!((delivery.bytes, delivery.hints, delivery.statuses, delivery.firm), (0, 0, 0, 0));
    }
}
