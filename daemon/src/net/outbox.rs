//! The bounded send queue of one connection.
//!
//! Answers are never dropped: the reader stops taking requests while too many
//! wait ([`Outbox::has_room`]), at a quarter of the bound: what an answer costs the store
//! is not spent on somebody who does not read. Pushes are dropped beyond the bound, and once
//! the queue has drained one `behind` event says so: fetch.

use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// A client's bound: bytes of waiting frames beyond which pushes are dropped, and a quarter of which holds requests up.
pub(crate) const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Frames beyond which the same happens.
pub(crate) const OUTBOX_FRAMES_MAX: usize = 4_096;

/// The bounded send queue of one connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    bytes_max: usize,
    frames_max: usize,
    queue: Mutex<Queue>,
    /// Something to write, or closed.
    written_to: Notify,
    /// Room again.
    drained: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Pushes were dropped since the last `behind`.
    behind: bool,
    closed: bool,
}

/// What the writer gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// Frames to write, in order.
    Frames(Vec<Bytes>),
    /// All was written and pushes were dropped before: say `behind`.
    Behind,
    /// Closed, and all was written.
    Closed,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::with_bounds(OUTBOX_BYTES_MAX, OUTBOX_FRAMES_MAX)
    }
}

impl Queue {
    fn put(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }
}

impl Outbox {
    /// A queue that is full at so many bytes or frames.
    pub(crate) fn with_bounds(bytes_max: usize, frames_max: usize) -> Self {
        Self {
            bytes_max,
            frames_max,
            queue: Mutex::default(),
            written_to: Notify::new(),
            drained: Notify::new(),
        }
    }

    fn is_full(&self, queue: &Queue) -> bool {
        queue.bytes >= self.bytes_max || queue.frames.len() >= self.frames_max
    }

    /// Requests wait.
    fn is_laden(&self, queue: &Queue) -> bool {
        queue.bytes >= self.bytes_max / 4 || queue.frames.len() >= self.frames_max
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // The queue is consistent at every panic point: nothing in here panics.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an answer, whatever the bound.
    pub(crate) fn answer(&self, frame: Bytes) {
        let mut queue = self.queue();
        if !queue.closed {
            queue.put(frame);
            drop(queue);
            self.written_to.notify_one();
        }
    }

    /// Queues a push; false where it was dropped.
    pub(crate) fn push(&self, frame: Bytes) -> bool {
        let mut queue = self.queue();
        if queue.closed {
            return true;
        }
        if queue.behind || self.is_full(&queue) {
            queue.behind = true;
            return false;
        }
        queue.put(frame);
        drop(queue);
        self.written_to.notify_one();
        true
    }

    /// Takes nothing more; what waits is still written.
    pub(crate) fn close(&self) {
        self.queue().closed = true;
        self.written_to.notify_one();
        self.drained.notify_one();
    }

    /// Waits until requests may be read again.
    pub(crate) async fn has_room(&self) {
        loop {
            {
                let queue = self.queue();
                if queue.closed || !self.is_laden(&queue) {
                    return;
                }
            }
            self.drained.notified().await;
        }
    }

    /// Waits for something to write; takes at most `bytes_max` of it (and one frame at least).
    pub(crate) async fn take(&self, bytes_max: usize) -> Outgoing {
        loop {
            {
                let mut queue = self.queue();
                if !queue.frames.is_empty() {
                    let mut taken = Vec::new();
                    let mut bytes = 0;
                    while bytes < bytes_max
                        && let Some(frame) = queue.frames.pop_front()
                    {
                        bytes += frame.len();
                        taken.push(frame);
                    }
                    queue.bytes -= bytes;
                    if !self.is_laden(&queue) {
                        self.drained.notify_one();
                    }
                    return Outgoing::Frames(taken);
                }
                if std::mem::take(&mut queue.behind) {
                    return Outgoing::Behind;
                }
                if queue.closed {
                    return Outgoing::Closed;
                }
            }
            self.written_to.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize) -> Bytes {
        Bytes::from(vec![b'x'; bytes])
    }

    #[tokio::test]
    async fn a_full_outbox_drops_pushes_and_says_behind_once_it_is_drained() {
        let outbox = Outbox::default();
        assert!(outbox.push(frame(OUTBOX_BYTES_MAX)));
        assert!(!outbox.push(frame(1)), "one past the bound");
        outbox.answer(frame(2));
        assert_eq!(
            outbox.take(usize::MAX).await,
            Outgoing::Frames(vec![frame(OUTBOX_BYTES_MAX), frame(2)])
        );
        assert!(!outbox.push(frame(3)), "no push overtakes the behind event");
        assert_eq!(outbox.take(usize::MAX).await, Outgoing::Behind);
        assert!(outbox.push(frame(4)));
        outbox.close();
        assert_eq!(outbox.take(usize::MAX).await, Outgoing::Frames(vec![frame(4)]));
        assert_eq!(outbox.take(usize::MAX).await, Outgoing::Closed);
    }

    #[tokio::test]
    async fn requests_wait_while_answers_pile_up() {
        let outbox = Outbox::default();
        for _ in 0..OUTBOX_FRAMES_MAX {
            outbox.answer(frame(1));
        }
        assert!(futures::FutureExt::now_or_never(outbox.has_room()).is_none());
        outbox.take(1).await;
        outbox.has_room().await;
        outbox.take(OUTBOX_FRAMES_MAX).await;
        outbox.answer(frame(OUTBOX_BYTES_MAX / 4 - 1));
        outbox.has_room().await;
        outbox.answer(frame(1));
        assert!(futures::FutureExt::now_or_never(outbox.has_room()).is_none());
        assert!(outbox.push(frame(1)), "pushes have more room");
    }
}
