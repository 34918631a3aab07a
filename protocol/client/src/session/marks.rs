//! Telling the fleet how far this account has read: `mark` with `delivered`.
//!
//! What was processed is gathered for a while, and told with one mark for each
//! conversation. Who ends in good order before then tells it at once. A mark that
//! gets lost is told with the next one, after the first entry that comes then.

use crate::{chat, connection::Connection, entry::Entry, error::Failure, limits::LOGS_MAX};
use fastchat_wire::{AccountId, LogId};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

/// What is to be told.
#[derive(Default)]
pub(super) struct Marks {
    /// Whose entries need no mark: their author has them.
    own: OnceLock<AccountId>,
    due: Mutex<BTreeMap<LogId, u64>>,
    noted: Notify,
}

impl Marks {
    /// Who signed in.
    pub(super) fn is(&self, account: AccountId) {
        // A session is one account's for good.
        let _ = self.own.set(account);
    }

    fn due(&self) -> MutexGuard<'_, BTreeMap<LogId, u64>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An entry was processed. Only others' are told: notices have no author.
    pub(super) fn note(&self, entry: &Entry) {
        let is_anothers = entry.head.from.is_some_and(|from| self.own.get() != Some(&from));
        if is_anothers {
            self.put(entry.log(), entry.seq());
            self.noted.notify_one();
        }
    }

    fn put(&self, log: LogId, seq: u64) {
        let mut due = self.due();
        if due.len() < LOGS_MAX || due.contains_key(&log) {
            let through = due.entry(log).or_default();
            *through = seq.max(*through);
        }
    }

    /// Tells them, for ever; `gather` is how long one waits for others.
    pub(super) async fn tell(&self, gather: Duration, mut connection: watch::Receiver<Option<Connection>>) {
        loop {
            if self.due().is_empty() {
                self.noted.notified().await;
            }
            sleep(gather).await;
            let is_open = |connection: &Option<Connection>| connection.as_ref().is_some_and(|open| open.closed().is_none());
            let Some(connection) = connection.wait_for(is_open).await.ok().and_then(|found| found.clone()) else {
                // The session is over.
                return std::future::pending().await;
            };
            self.tell_now(&connection).await;
        }
    }

    /// Tells what is due. What can't be told now stays due.
    pub(super) async fn tell_now(&self, connection: &Connection) {
        let mut due = std::mem::take(&mut *self.due());
        while let Some((log, seq)) = due.pop_first() {
            match chat::mark(connection, log, Some(seq), None).await {
                Ok(()) => {}
                // No member any more, say: there is nobody to tell.
                Err(Failure::Refused(refused)) if !refused.code.is_retryable() && !refused.ends_the_connection() => {
                    tracing::debug!(%log, %refused, "a mark that is not taken");
                }
                Err(failure) => {
                    tracing::debug!(%log, %failure, "marks have to wait");
                    self.put(log, seq);
                    break;
                }
            }
        }
        for (log, seq) in due {
            self.put(log, seq);
        }
    }
}
