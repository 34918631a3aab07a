//! A session that outlives servers, networks and restarts.
//!
//! ```text
//!                 ┌───────────────────────── pause ──────────────────────────┐
//!                 v                                                           │ failed, retryable
//!  start ──> arriving: assign ─> wait ─> dial ─> hello ─> resume ─> list ─────┤
//!                 ^                                                           │ arrived
//!                 │ lost                                                      v
//!                 ├──────────────────────────────────────────────────────── live ──┐
//!                 │                                                           ^    │ move, after-ms
//!                 │                     arrived elsewhere: the old one closes │    v
//!                 └────────────────────────────── lost ────────────────── live + arriving
//!
//!  token dead, locked, refused, storage full, closed here ──> Ended
//! ```
//!
//! Whatever happens on the way, [`Session::next`] brings each entry of each log
//! once and in order, and the [`Outbox`]'s entries stand in their logs once and
//! in order.
//!
//! | file | what |
//! | --- | --- |
//! | `course` | pure: which balancer next, after how long |
//! | `arrive` | one try to get onto a server |
//! | `runner` | the loop: what happened, and what is to begin now |
//! | `work` | what runs beside the loop: fetches, batches, lists |
//! | `delivery` | what waits for the consumer |
//! | `marks` | how far this account has read, told to the fleet |

mod arrive;
mod course;
mod delivery;
mod ended;
mod event;
mod marks;
mod runner;
mod work;

use crate::{
    config::{Config, Timing},
    connection::{Closed, Connection},
    entry::Entry,
    error::{Failure, Unkept},
    journal::Journal,
    outbox::{Outbox, Outgoing},
};
use arrive::blocking;
use bytes::Bytes;
pub(crate) use course::{Course, backoff};
pub use ended::Ended;
pub use event::SessionEvent;
use fastchat_wire::{EntryId, LogId};
use marks::Marks;
use runner::Runner;
use std::{
    fmt,
    sync::{Arc, OnceLock},
};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Events between the session's task and its consumer. The task has a longer, bounded queue.
const EVENTS_BUFFERED: usize = 4;
/// Logs that wait to be looked at.
const TOUCHED_BUFFERED: usize = 64;

/// A long-lived session. Dropped, it ends without waiting for anything.
pub struct Session {
    events: mpsc::Receiver<SessionEvent>,
    handle: Handle,
    _task: AbortOnDropHandle<()>,
}

/// What other tasks need of a session. Clones are the same session.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    connection: watch::Receiver<Option<Connection>>,
    touched: mpsc::Sender<LogId>,
}

struct Shared {
    journal: Arc<dyn Journal>,
    outbox: Arc<dyn Outbox>,
    timing: Timing,
    woken: Notify,
    marks: Marks,
    end: CancellationToken,
    ended: OnceLock<Ended>,
}

/// Closes the connection that was announced last.
struct CloseOnDrop(watch::Receiver<Option<Connection>>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let Some(connection) = &*self.0.borrow() {
            connection.close();
        }
    }
}

impl Session {
    /// Starts with the journal's token. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(config: Config, journal: Arc<dyn Journal>, outbox: Arc<dyn Outbox>) -> Self {
        let shared = Arc::new(Shared {
            journal,
            outbox,
            timing: config.timing.clone(),
            woken: Notify::new(),
            marks: Marks::default(),
            end: CancellationToken::new(),
            ended: OnceLock::new(),
        });
        let (to_consumer, events) = mpsc::channel(EVENTS_BUFFERED);
        let (touched, to_touch) = mpsc::channel(TOUCHED_BUFFERED);
        let (announce, connection) = watch::channel(None);
        let handle = Handle {
            shared: Arc::clone(&shared),
            connection,
            touched,
        };
        let closing = CloseOnDrop(handle.connection.clone());
        let marking = handle.connection.clone();
        let task = tokio::spawn(async move {
            // Also where this task is aborted: handles that live on have no connection any more.
            let _closing = closing;
            // Kept open until the reason is known: the consumer reads it when the channel closes.
            let last_sender = to_consumer.clone();
            let ended = tokio::select! {
                biased;
                () = shared.end.cancelled() => Ended::Closed,
                ended = Runner::run(config, &shared, to_consumer, to_touch, announce) => ended,
                () = shared.marks.tell(shared.timing.marks, marking) => Ended::Closed,
            };
            let _ = shared.ended.set(ended);
            drop(last_sender);
        });
        Self {
            events,
            handle,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// What happens next. Cancel-safe.
    ///
    /// # Errors
    /// The session is over for good.
    pub async fn next(&mut self) -> Result<SessionEvent, Ended> {
        match self.events.recv().await {
            Some(event) => Ok(event),
            None => Err(self.handle.shared.ended.get().cloned().unwrap_or(Ended::Closed)),
        }
    }

    /// For other tasks.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// See [`Handle::send`].
    ///
    /// # Errors
    /// The outbox can't take it.
    pub async fn send(&self, log: LogId, kind: &str, block: Bytes) -> Result<EntryId, Unkept> {
        self.handle.send(Outgoing::append(log, kind, None, block)).await
    }

    /// See [`Handle::processed`].
    ///
    /// # Errors
    /// The journal can't keep it.
    pub async fn processed(&self, entry: &Entry, store: &Arc<str>) -> Result<(), Unkept> {
        self.handle.processed(store, entry.log(), entry.seq()).await?;
        self.handle.delivered(entry);
        Ok(())
    }

    /// Closes it: nothing that is under way is waited for. [`Self::next`] says
    /// [`Ended::Closed`] then.
    pub fn close(&self) {
        self.handle.close();
    }
}

impl Handle {
    /// Adds an entry to the outbox. It is sent as soon as its turn comes, and
    /// again until its fate is known: [`SessionEvent::Sent`] or
    /// [`SessionEvent::Refused`].
    ///
    /// # Errors
    /// The outbox can't take it.
    pub async fn send(&self, outgoing: Outgoing) -> Result<EntryId, Unkept> {
        let entry = outgoing.entry;
        let outbox = Arc::clone(&self.shared.outbox);
        blocking(move || outbox.add(outgoing)).await?;
        self.wake();
        Ok(entry)
    }

    /// The outbox has something new.
    pub fn wake(&self) {
        self.shared.woken.notify_one();
    }

    /// The log was processed up to this entry: after a restart it goes on
    /// behind it. `store` is the entry's.
    ///
    /// # Errors
    /// The journal can't keep it.
    pub async fn processed(&self, store: &Arc<str>, log: LogId, seq: u64) -> Result<(), Unkept> {
        let (journal, store) = (Arc::clone(&self.shared.journal), Arc::clone(store));
        blocking(move || journal.save_cursor(&store, log, seq)).await
    }

    /// An entry was processed, and that is kept: the fleet is told in a while, with
    /// one `mark` for each conversation. [`Session::processed`] says so by itself;
    /// this is for callers that keep their cursors beside the journal.
    pub fn delivered(&self, entry: &Entry) {
        self.shared.marks.note(entry);
    }

    /// What was delivered is told now, where there is a server: before a program ends.
    pub(crate) async fn tell_delivered(&self) {
        let connection = self.connection.borrow().clone();
        if let Some(connection) = connection {
            self.shared.marks.tell_now(&connection).await;
        }
    }

    /// The connection to the present server, for the functions of
    /// [`crate::chat`]; waits until there is one. After [`Failure::Lost`] ask
    /// for it again.
    ///
    /// # Errors
    /// [`Failure::Lost`] where the session is over.
    pub async fn connection(&self) -> Result<Connection, Failure> {
        let mut watched = self.connection.clone();
        let is_open = |connection: &Option<Connection>| connection.as_ref().is_some_and(|open| open.closed().is_none());
        let found = watched.wait_for(is_open).await.ok().and_then(|found| found.clone());
        found.ok_or(Failure::Lost(Closed::Here))
    }

    /// The time-outs and pauses of its configuration.
    pub(crate) fn timing(&self) -> &Timing {
        &self.shared.timing
    }

    /// Something was written to a log beside the outbox (`create`, `grant`,
    /// `leave`): its new entries are fetched now, not at the next push.
    pub async fn touch(&self, log: LogId) {
        // An ended session looks at nothing any more.
        let _ = self.touched.send(log).await;
    }

    /// See [`Session::close`].
    pub fn close(&self) {
        self.shared.end.cancel();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("ended", &self.handle.shared.ended.get())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
