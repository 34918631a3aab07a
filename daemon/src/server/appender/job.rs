//! What waits in a lane's queue.

use super::gate::Gate;
use crate::{
    net::outbox::Outbox,
    server::{handlers::Refusal, hub::ConnectionId},
    store::{
        self,
        logs::{Actor, Append, Commit, Committed, Create, Created},
    },
};
use fastchat_wire::{AccountId, EntryId, LogId, chat::members::Role};
use std::sync::Arc;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::Instant,
};

/// The connection that an append came from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) connection: ConnectionId,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) gate: Gate,
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
    /// Set: its sender's rates don't allow it.
    pub(crate) refused: Option<Box<Refusal>>,
}

/// A place in a lane's queue, for an append to its log.
#[derive(Debug)]
pub(crate) struct Turn<'a>(pub(super) mpsc::Permit<'a, Job>);

impl Turn<'_> {
    /// Queues the append; its answer goes to its connection's outbox.
    pub(crate) fn take(self, job: AppendJob) {
        self.0.send(Job::Append(job));
    }
}

/// The other writes to a log.
#[derive(Debug)]
pub(super) enum Write {
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

/// A job of a lane.
#[derive(Debug)]
pub(super) enum Job {
    Append(AppendJob),
    Write(Box<Write>, Option<ConnectionId>),
}

impl Write {
    /// The conversation whose order it keeps.
    pub(super) fn log(&self) -> LogId {
        match self {
            Self::Commit(commit, _) => commit.conversation,
            Self::Create(create, _) => create.conversation,
            Self::Grant { conversation, .. } | Self::Leave { conversation, .. } => *conversation,
        }
    }
}
