//! Requests that wait for their answers, by id.

use crate::{entry::Entry, limits::FETCH_PAGE_BYTES_MAX};
use fastchat_wire::Frame;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// An answer: the response, and the entries that came before it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Frame,
    pub(super) entries: Vec<Entry>,
    /// Entries beyond the bounds were dropped: there is more.
    pub(super) cut: bool,
}

struct Waiting {
    answer: oneshot::Sender<Answer>,
    entries_max: usize,
    entries: Vec<Entry>,
    bytes: usize,
    cut: bool,
}

#[derive(Default)]
struct Table {
    waiting: HashMap<u64, Waiting>,
    ended: bool,
}

/// The table between those who ask and the reader. Its size is bounded by the
/// room that each request takes first.
#[derive(Default)]
pub(super) struct Pending(Mutex<Table>);

impl Pending {
    /// Announces a request; `None` where the connection has ended.
    pub(super) fn expect(&self, id: u64, entries_max: usize) -> Option<oneshot::Receiver<Answer>> {
        let mut table = self.lock();
        if table.ended {
            return None;
        }
        let (answer, awaited) = oneshot::channel();
        let waiting = Waiting {
            answer,
            entries_max,
            entries: Vec::new(),
            bytes: 0,
            cut: false,
        };
        table.waiting.insert(id, waiting);
        Some(awaited)
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&self, id: u64) {
        self.lock().waiting.remove(&id);
    }

    /// An entry that is part of an answer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn collect(&self, id: u64, frame: &Frame) -> Result<(), String> {
        let mut table = self.lock();
        let Some(waiting) = table.waiting.get_mut(&id) else {
            return Ok(());
        };
        if waiting.cut || waiting.entries.len() >= waiting.entries_max {
            waiting.cut = true;
            return Ok(());
        }
        let entry = Entry::read(frame)?;
        if waiting.bytes + entry.cost() > FETCH_PAGE_BYTES_MAX && !waiting.entries.is_empty() {
            waiting.cut = true;
            return Ok(());
        }
        waiting.bytes += entry.cost();
        waiting.entries.push(entry);
        Ok(())
    }

    /// A response. One that nobody waits for is dropped.
    pub(super) fn answer(&self, id: u64, response: Frame) {
        if let Some(waiting) = self.lock().waiting.remove(&id) {
            // Whoever asked may have gone meanwhile.
            let _ = waiting.answer.send(Answer {
                response,
                entries: waiting.entries,
                cut: waiting.cut,
            });
        }
    }

    /// No further answers come: all who wait are told.
    pub(super) fn end(&self) {
        let mut table = self.lock();
        table.ended = true;
        table.waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it is held, and each change is whole by itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
