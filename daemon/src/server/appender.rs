//! Group commit: whatever gathered during the last transaction is the next one.
//!
//! ```text
//!  connections ── jobs, in order ──> queue ──> [ batch of appends │ one other write ] ──> store
//!                                                 └─> responses, then doorbells ──> delivery
//! ```
//!
//! Appends of one connection to one log are committed in the order in which
//! they were sent: the queue keeps it, and after a retryable refusal the
//! [`Gate`] refuses the later ones until the refused entry is sent again.

use super::{
    delivery::{Delivery, Origin},
    feed::Doorbell,
    handlers::Refusal,
    hub::ConnectionId,
    metrics::ServerMetrics,
};
use crate::{
    net::outbox::Outbox,
    store::{
        self, Store,
        logs::{Actor, Append, Appended, Commit, Committed, Create, Created, Entry, Written},
    },
};
use fastchat_wire::{AccountId, Block, Code, EntryId, LogId, chat::append::Appended as Response, chat::members::Role, encode_response};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::Instant,
};
use tokio_util::task::TaskTracker;

/// Entries of one transaction.
const BATCH_ENTRIES_MAX: usize = 512;
/// Block bytes of one transaction (and one entry at least).
const BATCH_BYTES_MAX: usize = 8 << 20;
/// Jobs that wait; then connections are read more slowly.
const QUEUE: usize = 4_096;

/// Logs of one connection that may wait for an entry to be sent again; beyond, all of its appends wait.
const GATES_MAX: usize = 1_024;

/// The connection that an append came from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) connection: ConnectionId,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) gate: Gate,
}

/// Logs of one connection whose appends wait for an entry to be sent again.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<HashMap<LogId, (EntryId, Refusal)>>);

impl Gate {
    /// May this entry pass? Sending the refused one again opens the gate.
    fn pass(&self, log: LogId, entry: EntryId) -> Result<(), Refusal> {
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

/// An append with where to answer it.
#[derive(Debug)]
pub(crate) struct AppendJob {
    pub(crate) append: Append,
    /// The request's id.
    pub(crate) id: u64,
    pub(crate) source: Arc<Source>,
    pub(crate) received: Instant,
    /// Room that the block takes; given back with the answer.
    #[expect(dead_code, reason = "held, not read: dropping it gives the room back")]
    pub(crate) room: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

/// The other writes to a log.
#[derive(Debug)]
enum Write {
    Commit(Commit, oneshot::Sender<store::Result<Committed>>),
    Create(Create, oneshot::Sender<store::Result<Created>>),
    Grant {
        conversation: LogId,
        actor: Actor,
        account: AccountId,
        role: Role,
        entry: EntryId,
        at: u64,
        done: oneshot::Sender<store::Result<()>>,
    },
    Leave {
        conversation: LogId,
        actor: Actor,
        entry: EntryId,
        at: u64,
        done: oneshot::Sender<store::Result<()>>,
    },
}

#[derive(Debug)]
enum Job {
    Append(AppendJob),
    Write(Box<Write>, Option<ConnectionId>),
}

/// Handle to the queue.
#[derive(Debug, Clone)]
pub(crate) struct Appender {
    queue: mpsc::Sender<Job>,
}

impl Appender {
    /// Starts the task; it ends when the last handle is gone and the queue is empty.
    pub(crate) fn start(store: Arc<dyn Store>, delivery: Delivery, metrics: ServerMetrics, tasks: &TaskTracker) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        tasks.spawn(Lane { store, delivery, metrics }.run(jobs));
        Self { queue }
    }

    /// True where the task has ended, which it does by a fault only while there is a handle.
    pub(crate) fn has_ended(&self) -> bool {
        self.queue.is_closed()
    }

    /// Queues an append; its answer goes to its connection's outbox.
    pub(crate) async fn append(&self, job: AppendJob) -> Result<(), Refusal> {
        self.queue.send(Job::Append(job)).await.map_err(|_| stopping())
    }

    /// An MLS commit, after the appends that were queued before it.
    pub(crate) async fn commit(&self, commit: Commit, connection: ConnectionId) -> Result<Committed, Refusal> {
        self.write(Some(connection), |done| Write::Commit(commit, done)).await
    }

    /// A new conversation.
    pub(crate) async fn create(&self, create: Create) -> Result<Created, Refusal> {
        self.write(None, |done| Write::Create(create, done)).await
    }

    /// Another role.
    pub(crate) async fn grant(
        &self,
        conversation: LogId,
        actor: Actor,
        account: AccountId,
        role: Role,
        entry: EntryId,
        at: u64,
    ) -> Result<(), Refusal> {
        self.write(None, |done| Write::Grant {
            conversation,
            actor,
            account,
            role,
            entry,
            at,
            done,
        })
        .await
    }

    /// The actor leaves.
    pub(crate) async fn leave(&self, conversation: LogId, actor: Actor, entry: EntryId, at: u64) -> Result<(), Refusal> {
        self.write(None, |done| Write::Leave {
            conversation,
            actor,
            entry,
            at,
            done,
        })
        .await
    }

    async fn write<T>(
        &self,
        connection: Option<ConnectionId>,
        write: impl FnOnce(oneshot::Sender<store::Result<T>>) -> Write,
    ) -> Result<T, Refusal> {
        let (done, outcome) = oneshot::channel();
        self.queue
            .send(Job::Write(Box::new(write(done)), connection))
            .await
            .map_err(|_| stopping())?;
        Ok(outcome.await.map_err(|_| stopping())??)
    }
}

fn stopping() -> Refusal {
    fastchat_wire::ErrorBody::retry_after(
        Code::Unavailable,
        "the server is stopping; the outcome is unknown: send the same again elsewhere",
        250,
    )
    .into()
}

/// One queue's worker. A log is always on the same one.
struct Lane {
    store: Arc<dyn Store>,
    delivery: Delivery,
    metrics: ServerMetrics,
}

impl Lane {
    async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        let mut gathered = Vec::new();
        while jobs.recv_many(&mut gathered, BATCH_ENTRIES_MAX).await > 0 {
            let mut batch = Vec::new();
            let mut bytes = 0;
            for job in gathered.drain(..) {
                match job {
                    Job::Append(job) => {
                        bytes += job.append.block.len();
                        if bytes > BATCH_BYTES_MAX && !batch.is_empty() {
                            self.commit_batch(std::mem::take(&mut batch)).await;
                            bytes = job.append.block.len();
                        }
                        batch.push(job);
                    }
                    Job::Write(write, connection) => {
                        self.commit_batch(std::mem::take(&mut batch)).await;
                        bytes = 0;
                        self.write(*write, connection).await;
                    }
                }
            }
            self.commit_batch(batch).await;
        }
    }

    async fn commit_batch(&self, jobs: Vec<AppendJob>) {
        let mut admitted = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job.source.gate.pass(job.append.log, job.append.entry) {
                Ok(()) => admitted.push(job),
                Err(refusal) => self.refuse(&job, &refusal),
            }
        }
        if admitted.is_empty() {
            return;
        }
        let appends: Vec<Append> = admitted.iter().map(|job| job.append.clone()).collect();
        match self.store.append(&appends).await {
            Ok(outcomes) => {
                self.metrics.append_batch.observe(appends.len() as f64);
                for (job, outcome) in admitted.into_iter().zip(outcomes) {
                    match outcome {
                        Ok(appended) => self.appended(job, appended).await,
                        Err(denied) => self.refuse(&job, &denied.into()),
                    }
                }
            }
            Err(error) => {
                let refusal = Refusal::from(error);
                for job in &admitted {
                    self.refuse(job, &refusal);
                }
            }
        }
    }

    fn refuse(&self, job: &AppendJob, refusal: &Refusal) {
        job.source.gate.refused(job.append.log, job.append.entry, refusal);
        self.metrics.errors.with_label_values(&[refusal.error.code.as_str()]).inc();
        job.source.outbox.answer(refusal.encode(Some(job.id)));
    }

    async fn appended(&self, job: AppendJob, appended: Appended) {
        let response = Response {
            seq: appended.seq,
            at: appended.at,
            duplicate: appended.duplicate,
        };
        match encode_response(job.id, &response, &Block::none()) {
            Ok(frame) => job.source.outbox.answer(frame),
            Err(error) => job.source.outbox.answer(Refusal::internal(&error).encode(Some(job.id))),
        }
        self.metrics.append_latency.observe(job.received.elapsed().as_secs_f64());
        let log = job.append.log;
        if appended.duplicate {
            self.metrics.append_duplicates.inc();
            self.ring_again(log, appended).await;
            return;
        }
        self.metrics.appends.inc();
        let entry = Entry {
            log,
            seq: appended.seq,
            at: appended.at,
            kind: job.append.kind,
            entry: job.append.entry,
            from: Some(job.append.account),
            device: Some(job.append.device),
            epoch: job.append.epoch,
            block: job.append.block,
            welcome_to: [].into(),
        };
        let written = Written {
            entry,
            members_seq: appended.members_seq,
        };
        self.delivery
            .ring(log, Doorbell::written(written, Some(job.source.connection)), Origin::Here)
            .await;
    }

    /// The first doorbell may have been lost with its server: rings again, from the log.
    async fn ring_again(&self, log: LogId, appended: Appended) {
        let bell = Doorbell::reference(appended.seq, None);
        self.delivery.ring(log, bell, Origin::Here).await;
    }

    async fn write(&self, write: Write, connection: Option<ConnectionId>) {
        // A connection that is gone by now needs no answer.
        let written = match write {
            Write::Commit(commit, done) => {
                let entry = commit.entry;
                let conversation = commit.conversation;
                let outcome = self.store.commit(commit).await;
                if let Ok(Committed { appended, .. }) = &outcome
                    && appended.duplicate
                {
                    self.ring_again(conversation, *appended).await;
                }
                let written = outcome.as_ref().map_or_else(|_| Vec::new(), |committed| committed.written.clone());
                let _ = done.send(outcome);
                // The committer has the response for the commit; the rest it is told like everybody.
                written
                    .into_iter()
                    .map(|w| (connection.filter(|_| w.entry.entry == entry), w))
                    .collect()
            }
            Write::Create(create, done) => {
                let outcome = self.store.create(create).await;
                let written = outcome.as_ref().map_or_else(|_| Vec::new(), |created| created.written.clone());
                let _ = done.send(outcome);
                to_everybody(written)
            }
            Write::Grant {
                conversation,
                actor,
                account,
                role,
                entry,
                at,
                done,
            } => settle(self.store.grant(conversation, actor, account, role, entry, at).await, done),
            Write::Leave {
                conversation,
                actor,
                entry,
                at,
                done,
            } => settle(self.store.leave(conversation, actor, entry, at).await, done),
        };
        for (appender, written) in written {
            self.delivery
                .ring(written.entry.log, Doorbell::written(written, appender), Origin::Here)
                .await;
        }
    }
}

fn to_everybody(written: Vec<Written>) -> Vec<(Option<ConnectionId>, Written)> {
    written.into_iter().map(|written| (None, written)).collect()
}

fn settle(outcome: store::Result<Vec<Written>>, done: oneshot::Sender<store::Result<()>>) -> Vec<(Option<ConnectionId>, Written)> {
    let (answer, written) = match outcome {
        Ok(written) => (Ok(()), written),
        Err(error) => (Err(error), Vec::new()),
    };
    let _ = done.send(answer);
    to_everybody(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_waits_for_a_bounded_number_of_logs() {
        let gate = Gate::default();
        let log = |n: usize| LogId((n as u128).to_be_bytes());
        let entry = EntryId([1; 16]);
        for n in 0..2 * GATES_MAX {
            gate.refused(log(n), entry, &stopping());
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
        let refusal = stopping();
        gate.refused(log, first, &refusal);
        assert_eq!(gate.pass(log, second), Err(refusal));
        assert_eq!(gate.pass(other, second), Ok(()));
        assert_eq!(gate.pass(log, first), Ok(()));
        assert_eq!(gate.pass(log, second), Ok(()));
    }
}
