//! Group commit: whatever gathered during the last transaction is the next one.
//!
//! ```text
//!                          ┌─> lane ─> [ batch of appends │ one other write ] ──┐
//!  connections ── jobs ────┤                                                    ├─> store
//!                by log    └─> lane ─> [ batch of appends │ one other write ] ──┘
//!                                        └─> responses, then doorbells ──> delivery
//! ```
//!
//! A log is always on the same lane. So the appends of one connection to one log are
//! committed in the order in which they were sent: the lane's queue keeps it, and
//! after a retryable refusal the [`Gate`](gate::Gate) refuses the later ones until the
//! refused entry is sent again. A write that touches several logs (a commit, with its
//! inboxes) is on its conversation's lane; the store's locks keep the others in order.

mod gate;
mod job;
mod lane;

pub(crate) use job::{AppendJob, Source, Turn};

use super::{delivery::Delivery, handlers::Refusal, hub::ConnectionId, metrics::ServerMetrics};
use crate::store::{
    self, Store,
    logs::{Actor, Commit, Committed, Create, Created},
};
use fastchat_wire::{AccountId, Code, EntryId, LogId, chat::members::Role};
use job::{Job, Write};
use lane::Lane;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// Jobs that wait, in all lanes together; then connections are read more slowly.
const QUEUE: usize = 4_096;

/// Handle to the lanes.
#[derive(Debug, Clone)]
pub(crate) struct Appender {
    lanes: Arc<[mpsc::Sender<Job>]>,
}

impl Appender {
    /// Starts as many lanes as the store has use for; they end when the last handle is gone and their queues are empty.
    pub(crate) fn start(store: &Arc<dyn Store>, delivery: &Delivery, metrics: &ServerMetrics, tasks: &TaskTracker) -> Self {
        let count = store.append_lanes().max(1);
        let lanes = (0..count).map(|_| {
            let (queue, jobs) = mpsc::channel(QUEUE / count);
            let lane = Lane {
                store: Arc::clone(store),
                delivery: delivery.clone(),
                metrics: metrics.clone(),
            };
            tasks.spawn(lane.run(jobs));
            queue
        });
        Self { lanes: lanes.collect() }
    }

    /// True where a lane has ended, which it does by a fault only while there is a handle.
    pub(crate) fn has_ended(&self) -> bool {
        self.lanes.iter().any(mpsc::Sender::is_closed)
    }

    fn lane(&self, log: LogId) -> &mpsc::Sender<Job> {
        &self.lanes[place(log, self.lanes.len())]
    }

    /// Waits for a place in the queue of a log's lane.
    ///
    /// An append is handed over only then: what waits is a part of its connection's task.
    pub(crate) async fn turn(&self, log: LogId) -> Result<Turn<'_>, Refusal> {
        self.lane(log).reserve().await.map(Turn).map_err(|_| stopping())
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
        let write = write(done);
        self.lane(write.log())
            .send(Job::Write(Box::new(write), connection))
            .await
            .map_err(|_| stopping())?;
        Ok(outcome.await.map_err(|_| stopping())??)
    }
}

/// Which of so many lanes a log is on.
fn place(log: LogId, lanes: usize) -> usize {
    // The last bytes of a UUID are random, whatever its version.
    usize::from(log.0[14]) % lanes
}

fn stopping() -> Refusal {
    fastchat_wire::ErrorBody::retry_after(
        Code::Unavailable,
        "the server is stopping; the outcome is unknown: send the same again elsewhere",
        250,
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_lane_has_its_share_of_the_logs() {
        for lanes in 1..=4 {
            let mut logs = vec![0; lanes];
            for _ in 0..4_000 {
                logs[place(LogId::from(Uuid::now_v7()), lanes)] += 1;
            }
            assert!(logs.iter().all(|count| *count > 4_000 / lanes / 2), "{logs:?}");
        }
    }
}
