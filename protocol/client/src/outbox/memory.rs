//! An outbox that forgets with the program.

use super::{Outbox, Outgoing, Settlement};
use crate::journal::StorageError;
use fastchat_wire::{EntryId, LogId};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Blocks that it holds at most, in bytes.
const BYTES_MAX: usize = 64 << 20;
/// Entries that it holds at most.
const ENTRIES_MAX: usize = 65_536;

/// For tests, and for programs whose unsent entries may die with them.
#[derive(Debug, Default)]
pub struct MemoryOutbox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    logs: HashMap<LogId, VecDeque<Outgoing>>,
    entries: usize,
    bytes: usize,
}

impl MemoryOutbox {
    /// How many entries wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().entries
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox for MemoryOutbox {
    fn add(&self, outgoing: Outgoing) -> Result<(), StorageError> {
        let mut waiting = self.lock();
        if waiting.entries >= ENTRIES_MAX || waiting.bytes + outgoing.block_bytes() > BYTES_MAX {
            return Err("the outbox is full: wait until some of it is sent".into());
        }
        waiting.entries += 1;
        waiting.bytes += outgoing.block_bytes();
        waiting.logs.entry(outgoing.log).or_default().push_back(outgoing);
        Ok(())
    }

    fn logs(&self) -> Result<Vec<LogId>, StorageError> {
        Ok(self.lock().logs.keys().copied().collect())
    }

    fn first(&self, log: LogId, entries_max: usize, bytes_max: usize) -> Result<Vec<Outgoing>, StorageError> {
        let waiting = self.lock();
        let mut bytes = 0;
        let mut first = Vec::new();
        for outgoing in waiting.logs.get(&log).into_iter().flatten().take(entries_max) {
            bytes += outgoing.block_bytes();
            if bytes > bytes_max && !first.is_empty() {
                break;
            }
            first.push(outgoing.clone());
        }
        Ok(first)
    }

    fn settle(&self, settled: &[(EntryId, Settlement)]) -> Result<(), StorageError> {
        let gone: HashSet<EntryId> = settled.iter().map(|(entry, _)| *entry).collect();
        let mut waiting = self.lock();
        let Waiting { logs, entries, bytes } = &mut *waiting;
        logs.retain(|_, queue| {
            queue.retain(|outgoing| {
                let stays = !gone.contains(&outgoing.entry);
                if !stays {
                    *entries -= 1;
                    *bytes -= outgoing.block_bytes();
                }
                stays
            });
            !queue.is_empty()
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_batch_has_one_entry_at_least_and_stops_at_the_bytes() {
        let outbox = MemoryOutbox::default();
        let log = LogId([1; 16]);
        let sent: Vec<Outgoing> = (0..4)
            .map(|_| Outgoing::append(log, "app", None, Bytes::from(vec![0; 100])))
            .collect();
        for outgoing in &sent {
            outbox.add(outgoing.clone()).unwrap();
        }
        assert_eq!(outbox.first(log, 64, 10).unwrap(), sent[..1]);
        assert_eq!(outbox.first(log, 64, 250).unwrap(), sent[..2]);
        assert_eq!(outbox.first(log, 3, 1_000).unwrap(), sent[..3]);
    }

    #[test]
    fn a_full_outbox_refuses() {
        let outbox = MemoryOutbox::default();
        let block = Bytes::from(vec![0; BYTES_MAX / 2]);
        let add = || outbox.add(Outgoing::append(LogId([1; 16]), "app", None, block.clone()));
        add().unwrap();
        add().unwrap();
        assert!(
            outbox
                .add(Outgoing::append(LogId([1; 16]), "app", None, Bytes::from_static(b"x")))
                .is_err()
        );
    }
}
