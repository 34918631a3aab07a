//! What a sender has sent and not yet got an answer to. Pure.
//!
//! ```text
//!  push ──> on the way ──stored──> gone
//!             ^    └──refused, connection lost──> to be sent again ──┐
//!             └──────────────── again (in order) ────────────────────┘
//! ```
//!
//! A server that refuses an append for a while refuses the later ones to that
//! log with it, until that entry comes again: so the refused ones are sent again
//! in order, and only once none of them is on the way.

use std::collections::VecDeque;

/// A message that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Counts the sender's messages, from 0.
    pub(crate) number: u64,
    /// When it was to be sent.
    pub(crate) sent_ns: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    OnTheWay,
    ToBeSentAgain,
    Stored,
}

/// A sender's messages that are not stored yet.
#[derive(Debug, Default)]
pub(crate) struct Sends {
    waiting: VecDeque<Sent>,
    next: u64,
    on_the_way: u64,
    refused: u64,
}

impl Sends {
    /// Messages so far; the next one's number.
    pub(crate) fn count(&self) -> u64 {
        self.next
    }

    /// Messages whose answer is outstanding or was a refusal.
    pub(crate) fn unanswered(&self) -> u64 {
        self.on_the_way + self.refused
    }

    /// A new message; its number. Not while some are to be sent again.
    pub(crate) fn push(&mut self, sent_ns: u64) -> u64 {
        let number = self.next;
        self.next += 1;
        self.on_the_way += 1;
        self.waiting.push_back(Sent {
            number,
            sent_ns,
            state: State::OnTheWay,
        });
        number
    }

    /// Takes an acknowledgement; when the message was to be sent, or `None` where it was answered before.
    pub(crate) fn stored(&mut self, number: u64) -> Option<u64> {
        let sent = self.on_the_way(number)?;
        sent.state = State::Stored;
        let sent_ns = sent.sent_ns;
        self.on_the_way -= 1;
        while self.waiting.front().is_some_and(|sent| sent.state == State::Stored) {
            self.waiting.pop_front();
        }
        Some(sent_ns)
    }

    /// Takes a refusal that a later try may not meet.
    pub(crate) fn refused(&mut self, number: u64) {
        if let Some(sent) = self.on_the_way(number) {
            sent.state = State::ToBeSentAgain;
            self.on_the_way -= 1;
            self.refused += 1;
        }
    }

    /// The connection is over: whatever was on the way is to be sent again.
    pub(crate) fn lost(&mut self) {
        for sent in &mut self.waiting {
            if sent.state == State::OnTheWay {
                sent.state = State::ToBeSentAgain;
            }
        }
        self.refused += std::mem::take(&mut self.on_the_way);
    }

    /// True while messages are to be sent again: no new ones may overtake them.
    pub(crate) fn is_held_up(&self) -> bool {
        self.refused > 0
    }

    /// What is to be sent again, in order, once none is on the way; it is on the way then.
    pub(crate) fn again(&mut self) -> Vec<Sent> {
        if self.on_the_way > 0 || self.refused == 0 {
            return Vec::new();
        }
        self.on_the_way = std::mem::take(&mut self.refused);
        let again = self.waiting.iter_mut().filter(|sent| sent.state == State::ToBeSentAgain);
        again
            .map(|sent| {
                sent.state = State::OnTheWay;
                *sent
            })
            .collect()
    }

    fn on_the_way(&mut self, number: u64) -> Option<&mut Sent> {
        let first = self.waiting.front()?.number;
        let index = usize::try_from(number.checked_sub(first)?).ok()?;
        self.waiting.get_mut(index).filter(|sent| sent.state == State::OnTheWay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(sent: &[Sent]) -> Vec<u64> {
        sent.iter().map(|sent| sent.number).collect()
    }

    #[test]
    fn answers_may_come_in_any_order_and_count_once() {
        let mut sends = Sends::default();
        (0..3).for_each(|n| assert_eq!(sends.push(n * 10), n));
        assert_eq!(sends.stored(1), Some(10));
        assert_eq!(sends.stored(1), None);
        assert_eq!(sends.stored(0), Some(0));
        assert_eq!(sends.stored(0), None);
        assert_eq!(sends.stored(99), None);
        assert_eq!(sends.stored(2), Some(20));
        assert_eq!((sends.unanswered(), sends.count()), (0, 3));
    }

    #[test]
    fn refused_messages_go_again_in_order_once_all_are_answered() {
        let mut sends = Sends::default();
        (0..4).for_each(|n| _ = sends.push(n));
        sends.refused(1);
        sends.refused(3);
        assert!(sends.is_held_up());
        assert!(sends.again().is_empty(), "0 and 2 are on the way");
        sends.stored(0);
        sends.refused(2);
        assert_eq!(numbers(&sends.again()), [1, 2, 3]);
        assert!(!sends.is_held_up());
        (1..4).for_each(|n| assert_eq!(sends.stored(n), Some(n)));
        assert_eq!(sends.unanswered(), 0);
    }

    #[test]
    fn after_a_lost_connection_everything_unanswered_goes_again() {
        let mut sends = Sends::default();
        (0..4).for_each(|n| _ = sends.push(n));
        sends.stored(2);
        sends.refused(3);
        sends.lost();
        assert_eq!(sends.unanswered(), 3);
        assert_eq!(numbers(&sends.again()), [0, 1, 3]);
    }
}
