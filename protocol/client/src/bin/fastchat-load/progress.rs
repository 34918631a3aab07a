//! The line that shows how a run goes, once a second on stderr.

use crate::tally::Tally;
use std::io::{IsTerminal, Write, stderr};

/// Shows how a run goes.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    /// The line replaces the one before.
    in_place: bool,
    last: u64,
}

impl Progress {
    /// Shown on a terminal, or where it is asked for.
    pub(crate) fn new(asked_for: bool) -> Self {
        let in_place = stderr().is_terminal();
        Self {
            shown: asked_for || in_place,
            in_place,
            last: 0,
        }
    }

    /// Says something.
    pub(crate) fn say(&self, text: &str) {
        if self.shown {
            let mut stderr = stderr().lock();
            // Nobody misses a line of progress that can't be written.
            let _ = if self.in_place {
                write!(stderr, "\r\x1b[K{text}")
            } else {
                writeln!(stderr, "{text}")
            };
        }
    }

    /// One second more.
    pub(crate) fn second(&mut self, phase: &str, second: u64, tally: &Tally) {
        let count = tally.delivered.get() + tally.operations.get();
        let fresh = count.saturating_sub(self.last);
        self.last = count;
        let errors: u64 = tally.errors().values().sum();
        let latencies = if tally.operations.get() > 0 {
            &tally.operation
        } else {
            &tally.to_deliver
        };
        let p99 = latencies.with(|histogram| histogram.value_at_quantile(0.99)) as f64 / 1_000.0;
        self.say(&format!("{phase} {second:>3} s  {fresh:>8}/s  p99 {p99:.2} ms  errors {errors}"));
    }

    /// The counters began anew.
    pub(crate) fn restart(&mut self) {
        self.last = 0;
    }

    /// The line is done with.
    pub(crate) fn end(&self) {
        if self.shown && self.in_place {
            let _ = write!(stderr().lock(), "\r\x1b[K");
        }
    }
}
