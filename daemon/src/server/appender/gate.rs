//! The order of one connection's appends after a refusal that is worth another try.

use crate::server::handlers::Refusal;
use fastchat_wire::{Code, EntryId, LogId};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Logs of one connection that may wait for an entry to be sent again; beyond, all of its appends wait.
const GATES_MAX: usize = 1_024;

/// Logs of one connection whose appends wait for an entry to be sent again.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<HashMap<LogId, (EntryId, Refusal)>>);

impl Gate {
    /// May this entry pass? Sending the refused one again opens the gate.
    pub(super) fn pass(&self, log: LogId, entry: EntryId) -> Result<(), Refusal> {
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match closed.get(&log) {
            Some((refused, refusal)) if *refused != entry => Err(refusal.clone()),
            Some(_) => {
                closed.remove(&log);
                Ok(())
            }
            None if closed.len() >= GATES_MAX => Err(Refusal::new(
                Code::Overloaded,
                "too many logs of this connection wait for an entry to be sent again: send those first",
            )),
            None => Ok(()),
        }
    }

    /// An entry was refused; a retryable refusal closes the gate.
    pub(crate) fn refused(&self, log: LogId, entry: EntryId, refusal: &Refusal) {
        if refusal.error.code.is_retryable() {
            let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if closed.len() < GATES_MAX {
                closed.entry(log).or_insert_with(|| (entry, refusal.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable() -> Refusal {
        Refusal::new(Code::Unavailable, "later")
    }

    #[test]
    fn a_connection_waits_for_a_bounded_number_of_logs() {
        let gate = Gate::default();
        let log = |n: usize| LogId((n as u128).to_be_bytes());
        let entry = EntryId([1; 16]);
        for n in 0..2 * GATES_MAX {
            gate.refused(log(n), entry, &unavailable());
        }
        assert_eq!(gate.0.lock().unwrap().len(), GATES_MAX);
        assert!(gate.pass(log(GATES_MAX), entry).is_err(), "order can't be kept there otherwise");
        assert_eq!(gate.pass(log(0), entry), Ok(()));
        assert_eq!(gate.pass(log(GATES_MAX), entry), Ok(()));
    }

    #[test]
    fn after_a_retryable_refusal_later_entries_wait_for_that_one() {
        let gate = Gate::default();
        let (log, other) = (LogId([1; 16]), LogId([2; 16]));
        let (first, second) = (EntryId([1; 16]), EntryId([2; 16]));
        gate.refused(log, first, &Refusal::new(Code::NotMember, "final"));
        assert_eq!(gate.pass(log, second), Ok(()), "a final refusal holds nobody up");
        let refusal = unavailable();
        gate.refused(log, first, &refusal);
        assert_eq!(gate.pass(log, second), Err(refusal));
        assert_eq!(gate.pass(other, second), Ok(()));
        assert_eq!(gate.pass(log, first), Ok(()));
        assert_eq!(gate.pass(log, second), Ok(()));
    }
}
