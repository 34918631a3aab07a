//! What waits for the broker: bounded, and packed into envelopes. Pure.

use super::envelope::{Body, To};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Bytes that wait; beyond, messages are dropped and counted.
const QUEUE_BYTES_MAX: usize = 16 << 20;
/// Messages that wait.
const QUEUE_MESSAGES_MAX: usize = 65_536;
/// Messages that are packed at once.
const PACK_MESSAGES: usize = 1_024;
/// Bytes of frames in one envelope, as long as one frame does not have more.
const ENVELOPE_BYTES: usize = 48 << 10;

/// What waits for the broker.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    to: To,
    number: u64,
    broadcasts: u64,
    frame: Bytes,
}

/// Some messages for one receiver, in order.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) to: To,
    pub(super) body: Body,
}

impl Queue {
    /// Puts a message at the end; false where it is dropped.
    pub(super) fn push(&mut self, to: To, number: u64, broadcasts: u64, frame: &Bytes) -> bool {
        if self.bytes >= QUEUE_BYTES_MAX || self.waiting.len() >= QUEUE_MESSAGES_MAX {
            return false;
        }
        self.bytes += frame.len();
        self.waiting.push_back(Waiting {
            to,
            number,
            broadcasts,
            frame: frame.clone(),
        });
        true
    }

    /// Of each receiver for whom something waits, the first number.
    pub(super) fn firsts(&self) -> Vec<(&To, u64)> {
        let mut firsts: Vec<(&To, u64)> = Vec::new();
        for waiting in &self.waiting {
            if !firsts.iter().any(|(to, _)| **to == waiting.to) {
                firsts.push((&waiting.to, waiting.number));
            }
        }
        firsts
    }

    /// Forgets all that waits.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes from its front, packed by receiver. Empty where nothing waits.
    pub(super) fn pack(&mut self) -> Vec<Packed> {
        let mut runs: Vec<Run> = Vec::new();
        let taken = self.waiting.len().min(PACK_MESSAGES);
        for waiting in self.waiting.drain(..taken) {
            self.bytes -= waiting.frame.len();
            match runs.iter_mut().rev().find(|run| run.to == waiting.to) {
                Some(run) if run.takes(&waiting) => run.add(&waiting),
                _ => runs.push(Run::of(waiting)),
            }
        }
        runs.into_iter().map(Run::packed).collect()
    }
}

/// Messages for one receiver whose numbers follow each other.
struct Run {
    to: To,
    first: u64,
    next: u64,
    broadcasts: u64,
    frames: BytesMut,
}

impl Run {
    fn of(waiting: Waiting) -> Self {
        Self {
            to: waiting.to,
            first: waiting.number,
            next: waiting.number + 1,
            broadcasts: waiting.broadcasts,
            frames: BytesMut::from(waiting.frame),
        }
    }

    fn takes(&self, waiting: &Waiting) -> bool {
        waiting.number == self.next && self.frames.len() + waiting.frame.len() <= ENVELOPE_BYTES
    }

    fn add(&mut self, waiting: &Waiting) {
        self.next += 1;
        self.frames.extend_from_slice(&waiting.frame);
    }

    fn packed(self) -> Packed {
        Packed {
            to: self.to.clone(),
            body: Body::Run {
                to: self.to,
                first: self.first,
                broadcasts: self.broadcasts,
                frames: self.frames.freeze(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(server: &str) -> To {
        To::One {
            server: server.into(),
            incarnation: 1,
            link: 1,
        }
    }

    fn shown(packed: &[Packed]) -> Vec<(To, u64, usize)> {
        let show = |packed: &Packed| match &packed.body {
            Body::Run { first, frames, .. } => (packed.to.clone(), *first, frames.len()),
            Body::Beat { .. } => panic!("no heartbeat waits"),
        };
        packed.iter().map(show).collect()
    }

    #[test]
    fn what_waits_is_packed_by_receiver_in_order() {
        let mut queue = Queue::default();
        let frame = Bytes::from_static(b"1234");
        for number in 1..=2 {
            for to in [one("s2"), To::All, one("s3")] {
                assert!(queue.push(to, number, 0, &frame));
            }
        }
        // One was dropped before it.
        assert!(queue.push(one("s2"), 4, 0, &frame));
        let packed = queue.pack();
        let expected = [(one("s2"), 1, 8), (To::All, 1, 8), (one("s3"), 1, 8), (one("s2"), 4, 4)];
        assert_eq!(shown(&packed), expected);
        assert!(queue.pack().is_empty() && queue.bytes == 0);
    }

    #[test]
    fn an_envelope_is_not_longer_than_its_bound_or_its_only_frame() {
        let mut queue = Queue::default();
        let (half, long) = (Bytes::from(vec![0; ENVELOPE_BYTES / 2]), Bytes::from(vec![0; ENVELOPE_BYTES + 1]));
        for (number, frame) in [(1, &half), (2, &half), (3, &half), (4, &long)] {
            assert!(queue.push(To::All, number, 0, frame));
        }
        let expected = [
            (To::All, 1, ENVELOPE_BYTES),
            (To::All, 3, ENVELOPE_BYTES / 2),
            (To::All, 4, ENVELOPE_BYTES + 1),
        ];
        assert_eq!(shown(&queue.pack()), expected);
    }

    #[test]
    fn one_past_its_bounds_is_dropped() {
        let mut queue = Queue::default();
        for number in 1..=QUEUE_MESSAGES_MAX as u64 {
            assert!(queue.push(To::All, number, 0, &Bytes::new()));
        }
        assert!(!queue.push(To::All, 0, 0, &Bytes::new()));
        queue.clear();
        assert!(queue.push(To::All, 1, 0, &Bytes::from(vec![0; QUEUE_BYTES_MAX])));
        assert!(!queue.push(To::All, 2, 0, &Bytes::new()));
    }
}
