//! A member's cursor over a log: takes each entry once, in order, whichever way it comes. Pure.

use super::evidence::{Entry, Message};
use std::collections::BTreeMap;

/// Entries that are held until those before them come; beyond, they are fetched again.
const AHEAD_MAX: usize = 4_096;

/// A member's cursor.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    last: u64,
    ahead: BTreeMap<u64, Option<Message>>,
}

impl Cursor {
    /// The last entry that was taken.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// True while something before what came is lacking.
    pub(crate) fn has_hole(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// An entry came, pushed, fetched or acknowledged; whatever can be taken now is.
    pub(crate) fn note(&mut self, seq: u64, message: Option<Message>, taken: &mut Vec<Entry>) {
        if seq > self.last && (self.ahead.len() < AHEAD_MAX || seq == self.last + 1) {
            self.ahead.insert(seq, message);
        }
        while let Some(message) = self.ahead.remove(&(self.last + 1)) {
            self.last += 1;
            taken.push(Entry { seq: self.last, message });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_the_order_each_entry_is_taken_once_and_in_order(seqs in prop::collection::vec(1u64..30, 0..100)) {
            let (mut cursor, mut taken) = (Cursor::default(), Vec::new());
            seqs.iter().for_each(|seq| cursor.note(*seq, None, &mut taken));
            let whole = (1..).take_while(|seq| seqs.contains(seq)).collect::<Vec<_>>();
            prop_assert_eq!(taken.iter().map(|entry| entry.seq).collect::<Vec<_>>(), whole.clone());
            prop_assert_eq!(cursor.last(), whole.len() as u64);
            prop_assert_eq!(cursor.has_hole(), seqs.iter().any(|seq| *seq > cursor.last()));
        }
    }

    #[test]
    fn a_long_hole_does_not_take_all_memory_and_is_filled_by_fetching() {
        let (mut cursor, mut taken) = (Cursor::default(), Vec::new());
        let end = AHEAD_MAX as u64 * 3;
        (2..=end).for_each(|seq| cursor.note(seq, None, &mut taken));
        assert_eq!(cursor.ahead.len(), AHEAD_MAX);
        (1..=end).for_each(|seq| cursor.note(seq, None, &mut taken));
        assert_eq!((cursor.last(), taken.len() as u64), (end, end));
    }
}
