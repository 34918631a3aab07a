//! What a run counts while it goes on.

use hdrhistogram::Histogram;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

/// Latencies beyond this count as this (µs): ten minutes.
const LATENCY_US_MAX: u64 = 600_000_000;
/// Decimal digits that a quantile is exact to.
const DIGITS: u8 = 3;

/// Counters and latencies since the end of the warm-up.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Messages that were sent.
    pub(crate) sent: Cell<u64>,
    /// Messages that were acknowledged as stored.
    pub(crate) acknowledged: Cell<u64>,
    /// Messages that reached a member.
    pub(crate) delivered: Cell<u64>,
    /// Entries that came by fetch and not by push.
    pub(crate) fetched: Cell<u64>,
    /// Resumes, assigns or logins that succeeded.
    pub(crate) operations: Cell<u64>,
    /// From when a message was to be sent to its delivery.
    pub(crate) to_deliver: Latencies,
    /// From when a message was to be sent to its acknowledgement.
    pub(crate) to_stored: Latencies,
    /// Of one operation.
    pub(crate) operation: Latencies,
    errors: RefCell<BTreeMap<&'static str, u64>>,
}

/// Latencies in µs.
#[derive(Debug)]
pub(crate) struct Latencies(RefCell<Histogram<u64>>);

impl Latencies {
    fn new() -> Self {
        #[expect(clippy::expect_used, reason = "bounds are constants that the crate accepts; a test makes one")]
        let histogram = Histogram::new_with_bounds(1, LATENCY_US_MAX, DIGITS).expect("the bounds are in order");
        Self(RefCell::new(histogram))
    }

    /// Adds one, given in ns.
    pub(crate) fn record_ns(&self, ns: u64) {
        self.0.borrow_mut().saturating_record(ns / 1_000);
    }

    /// Shows the histogram.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Histogram<u64>) -> T) -> T {
        look(&self.0.borrow())
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &Cell<u64>, count: u64) {
    counter.set(counter.get() + count);
}

impl Tally {
    /// All at 0.
    pub(crate) fn new() -> Self {
        Self {
            sent: Cell::default(),
            acknowledged: Cell::default(),
            delivered: Cell::default(),
            fetched: Cell::default(),
            operations: Cell::default(),
            to_deliver: Latencies::new(),
            to_stored: Latencies::new(),
            operation: Latencies::new(),
            errors: RefCell::default(),
        }
    }

    /// Back to 0, but for errors: the warm-up is over.
    pub(crate) fn restart(&self) {
        for counter in [&self.sent, &self.acknowledged, &self.delivered, &self.fetched, &self.operations] {
            counter.set(0);
        }
        for latencies in [&self.to_deliver, &self.to_stored, &self.operation] {
            latencies.0.borrow_mut().reset();
        }
    }

    /// Counts an error by its code.
    pub(crate) fn error(&self, code: &'static str) {
        *self.errors.borrow_mut().entry(code).or_insert(0) += 1;
    }

    /// Errors by code.
    pub(crate) fn errors(&self) -> BTreeMap<&'static str, u64> {
        self.errors.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warm_up_is_forgotten_but_its_errors() {
        let tally = Tally::new();
        add(&tally.sent, 5);
        tally.to_stored.record_ns(5_000_000);
        tally.error("overloaded");
        tally.restart();
        assert_eq!((tally.sent.get(), tally.to_stored.with(Histogram::len)), (0, 0));
        assert_eq!(tally.errors().get("overloaded"), Some(&1));
    }

    #[test]
    fn latencies_beyond_the_bound_still_count() {
        let latencies = Latencies::new();
        latencies.record_ns(u64::MAX);
        assert_eq!(latencies.with(Histogram::len), 1);
    }
}
