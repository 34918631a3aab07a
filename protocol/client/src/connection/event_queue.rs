//! Events that wait to be taken: bounded in number and bytes.
//!
//! What doesn't fit is dropped, and a `behind` stands in its place: the entries
//! are in their logs, and the hints are only hints. A `move` always fits: the
//! latest one replaces the one before.

use crate::{
    event::Event,
    limits::{EVENTS_BYTES_MAX, EVENTS_MAX},
};
use fastchat_wire::chat::{behind::Behind, move_to::Move};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    bytes: usize,
    moving: Option<Move>,
    /// Something was dropped after the last queued event.
    dropped: bool,
    ended: bool,
}

/// The queue between a connection's reader and whoever takes the events.
#[derive(Default)]
pub(super) struct EventQueue {
    queue: Mutex<Queue>,
    changed: Notify,
}

impl EventQueue {
    /// Adds an event, or drops it where there is no room.
    pub(super) fn push(&self, event: Event) {
        let mut queue = self.lock();
        let cost = event.cost();
        if let Event::Move(moving) = event {
            queue.moving = Some(moving);
        } else if queue.dropped || queue.events.len() >= EVENTS_MAX || (queue.bytes + cost > EVENTS_BYTES_MAX && !queue.events.is_empty()) {
            queue.dropped = true;
        } else {
            queue.bytes += cost;
            queue.events.push_back(event);
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// No further events come.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    /// The next event; `None` after the last one.
    pub(super) async fn next(&self) -> Option<Event> {
        loop {
            let changed = self.changed.notified();
            {
                let mut queue = self.lock();
                let event = queue.take();
                if event.is_some() || queue.ended {
                    // Others that wait have their turn too.
                    self.changed.notify_one();
                    return event;
                }
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is held, and each change is whole by itself.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn take(&mut self) -> Option<Event> {
        if let Some(moving) = self.moving.take() {
            return Some(Event::Move(moving));
        }
        if let Some(event) = self.events.pop_front() {
            self.bytes -= event.cost();
            return Some(event);
        }
        std::mem::take(&mut self.dropped).then_some(Event::Behind(Behind { log: None, last_seq: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::{AccountId, chat::presence::Presence};

    fn hint(n: u8) -> Event {
        Event::Presence(Presence {
            account: AccountId([n; 16]),
            online: true,
        })
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_says_behind() {
        let queue = EventQueue::default();
        for n in 0..EVENTS_MAX + 500 {
            queue.push(hint(u8::try_from(n % 251).unwrap()));
        }
        for _ in 0..EVENTS_MAX {
            assert!(matches!(queue.next().await, Some(Event::Presence(_))));
        }
        assert!(matches!(queue.next().await, Some(Event::Behind(Behind { log: None, .. }))));
        queue.push(hint(1));
        assert_eq!(queue.next().await, Some(hint(1)));
        queue.end();
        assert_eq!(queue.next().await, None);
    }
}
