//! What one member has received of a conversation: every message of the others
//! exactly once, in their order. Pure.
//!
//! A number that is too high means that pushes were lost: then the rest is
//! fetched. In what is fetched it means that entries are out of order.

/// What to do with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Took {
    /// It is the next message of its sender.
    Delivered,
    /// Seen before, or to be fetched anyway.
    Nothing,
    /// Pushes were lost: fetch after [`Tracker::last_seq`].
    Hole,
}

/// What one member has received.
#[derive(Debug)]
pub(crate) struct Tracker {
    last_seq: u64,
    /// For each sender: the number that is to come.
    next: Vec<u64>,
    /// A fetch is under way: pushes wait for it.
    fetching: bool,
    /// The highest entry that was pushed.
    pushed: u64,
    pub(crate) duplicates: u64,
    pub(crate) out_of_order: u64,
}

impl Tracker {
    /// Begins behind an entry, with a number of senders.
    pub(crate) fn new(last_seq: u64, senders: usize) -> Self {
        Self {
            last_seq,
            next: vec![0; senders],
            fetching: false,
            pushed: last_seq,
            duplicates: 0,
            out_of_order: 0,
        }
    }

    /// The last entry that was taken.
    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Messages of a sender that were received.
    pub(crate) fn received(&self, sender: usize) -> u64 {
        self.next.get(sender).copied().unwrap_or(0)
    }

    /// A fetch begins; false where one is under way.
    pub(crate) fn begin_fetch(&mut self) -> bool {
        !std::mem::replace(&mut self.fetching, true)
    }

    /// Takes a push.
    pub(crate) fn pushed(&mut self, seq: u64, sender: usize, number: u64) -> Took {
        self.pushed = self.pushed.max(seq);
        if self.fetching || seq <= self.last_seq {
            return Took::Nothing;
        }
        if number > self.received(sender) {
            return Took::Hole;
        }
        self.take(seq, sender, number)
    }

    /// Takes an entry that was fetched.
    pub(crate) fn fetched(&mut self, seq: u64, sender: usize, number: u64) -> Took {
        if seq <= self.last_seq {
            return Took::Nothing;
        }
        self.take(seq, sender, number)
    }

    /// Takes an entry that is nobody's message, or the member's own.
    pub(crate) fn passed(&mut self, seq: u64) {
        self.last_seq = self.last_seq.max(seq);
    }

    /// A page is over; true where another is to be fetched.
    pub(crate) fn end_page(&mut self, more: bool) -> bool {
        self.fetching = more || self.pushed > self.last_seq;
        self.fetching
    }

    fn take(&mut self, seq: u64, sender: usize, number: u64) -> Took {
        self.last_seq = seq;
        let Some(next) = self.next.get_mut(sender) else {
            return Took::Nothing;
        };
        if number < *next {
            self.duplicates += 1;
            return Took::Nothing;
        }
        self.out_of_order += u64::from(number > *next);
        *next = number + 1;
        Took::Delivered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_several_senders_are_told_apart() {
        let mut tracker = Tracker::new(4, 2);
        assert_eq!(tracker.pushed(5, 0, 0), Took::Delivered);
        assert_eq!(tracker.pushed(7, 1, 0), Took::Delivered);
        assert_eq!(tracker.pushed(8, 0, 1), Took::Delivered);
        assert_eq!((tracker.received(0), tracker.received(1)), (2, 1));
    }

    #[test]
    fn an_entry_that_is_pushed_again_is_no_duplicate() {
        let mut tracker = Tracker::new(0, 1);
        tracker.pushed(1, 0, 0);
        assert_eq!(tracker.pushed(1, 0, 0), Took::Nothing);
        assert_eq!(tracker.duplicates, 0);
    }

    #[test]
    fn a_message_that_stands_twice_in_the_log_is_one() {
        let mut tracker = Tracker::new(0, 1);
        tracker.pushed(1, 0, 0);
        assert_eq!(tracker.pushed(2, 0, 0), Took::Nothing);
        assert_eq!(tracker.duplicates, 1);
    }

    #[test]
    fn a_lost_push_is_fetched_and_nothing_counts_twice() {
        let mut tracker = Tracker::new(0, 1);
        assert_eq!(tracker.pushed(2, 0, 1), Took::Hole);
        assert!(tracker.begin_fetch());
        assert!(!tracker.begin_fetch());
        assert_eq!(tracker.pushed(3, 0, 2), Took::Nothing);
        assert_eq!(tracker.fetched(1, 0, 0), Took::Delivered);
        assert_eq!(tracker.fetched(2, 0, 1), Took::Delivered);
        assert!(tracker.end_page(false), "3 was pushed meanwhile");
        assert_eq!(tracker.fetched(3, 0, 2), Took::Delivered);
        assert!(!tracker.end_page(false));
        assert_eq!((tracker.duplicates, tracker.out_of_order), (0, 0));
    }

    #[test]
    fn a_log_in_the_wrong_order_is_noticed() {
        let mut tracker = Tracker::new(0, 1);
        tracker.begin_fetch();
        tracker.fetched(1, 0, 1);
        tracker.fetched(2, 0, 0);
        assert!(tracker.out_of_order > 0);
    }
}
