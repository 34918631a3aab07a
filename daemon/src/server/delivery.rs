//! Pushing: from doorbells to the outboxes of those who may read, in each log's order.
//!
//! A few shards, a log always on the same one; each is one task that owns its
//! logs' [`Feed`]s and rosters, so that no lock is held across a read.

mod hint;
mod shard;

pub(crate) use shard::event;

use super::{
    feed::Doorbell,
    hub::{ConnectionId, Hub},
    metrics::ServerMetrics,
    peers::Peers,
};
use crate::store::{Store, logs::Membership};
use bytes::Bytes;
use fastchat_wire::{
    AccountId, EventName, LogId,
    chat::{mark::MarkEvent, signal::SignalEvent},
};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// Where something came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This server: the others are told.
    Here,
    /// Another server, which tells the others itself.
    Elsewhere,
}

/// What a conversation's members are told and no log keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Somebody's watermarks moved.
    Mark(MarkEvent),
    /// Somebody's signal.
    Signal {
        /// Whose, and where.
        signal: SignalEvent,
        /// Sealed.
        block: Bytes,
        /// The connection that sent it, where that is here: it knows.
        sender: Option<ConnectionId>,
    },
}

impl Hint {
    fn conversation(&self) -> LogId {
        match self {
            Self::Mark(mark) => mark.conversation,
            Self::Signal { signal, .. } => signal.conversation,
        }
    }

    /// The event that tells it.
    fn event(&self) -> EventName {
        match self {
            Self::Mark(_) => EventName::Mark,
            Self::Signal { .. } => EventName::Signal,
        }
    }
}

/// What a shard is asked.
#[derive(Debug)]
enum Command {
    Ring {
        log: LogId,
        bell: Doorbell,
        origin: Origin,
        room: OwnedSemaphorePermit,
    },
    Activate(AccountId, Vec<(LogId, u64)>),
    Joined(Vec<Membership>),
    /// Which logs are active, and up to which number they were heard of.
    Active(oneshot::Sender<Vec<(LogId, u64)>>),
    /// Logs that go on up to these numbers.
    Beyond(Vec<(LogId, u64)>),
    Hint {
        hint: Hint,
        members_seq: u64,
        origin: Origin,
    },
}

/// Handle to the shards.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    shards: Arc<[mpsc::Sender<Command>]>,
    /// KiB of blocks that may wait for the shards.
    room: Arc<Semaphore>,
}

/// What a shard works with.
#[derive(Clone)]
struct Parts {
    store: Arc<dyn Store>,
    hub: Arc<Hub>,
    peers: Arc<Peers>,
    metrics: ServerMetrics,
}

const SHARDS: usize = 4;
/// Commands that wait for a shard; then appends and the bus wait.
const QUEUE: usize = 8_192;
/// KiB of blocks that wait with them, more than any one has; then the same wait.
const QUEUE_KIB: usize = 64 << 10;

impl Delivery {
    /// Starts the shards; they end when the last handle is gone.
    pub(crate) fn start(store: Arc<dyn Store>, hub: Arc<Hub>, peers: Arc<Peers>, metrics: ServerMetrics, tasks: &TaskTracker) -> Self {
        let parts = Parts {
            store,
            hub,
            peers,
            metrics,
        };
        let shards = (0..SHARDS).map(|_| {
            let (commands, receiver) = mpsc::channel(QUEUE);
            tasks.spawn(shard::Shard::new(parts.clone()).run(receiver));
            commands
        });
        Self {
            shards: shards.collect(),
            room: Arc::new(Semaphore::new(QUEUE_KIB)),
        }
    }

    fn shard(&self, log: LogId) -> &mpsc::Sender<Command> {
        // The last byte of a UUID is random, whatever its version.
        &self.shards[usize::from(log.0[15]) % self.shards.len()]
    }

    /// What each shard gets of these.
    fn parted<T>(&self, all: Vec<T>, log: impl Fn(&T) -> LogId) -> impl Iterator<Item = (&mpsc::Sender<Command>, Vec<T>)> {
        let mut parts: Vec<Vec<T>> = self.shards.iter().map(|_| Vec::new()).collect();
        for one in all {
            parts[usize::from(log(&one).0[15]) % self.shards.len()].push(one);
        }
        self.shards.iter().zip(parts).filter(|(_, part)| !part.is_empty())
    }

    async fn tell(&self, shard: &mpsc::Sender<Command>, command: Command) {
        if shard.send(command).await.is_err() {
            tracing::error!("a delivery shard has ended: pushes are lost until their readers fetch");
        }
    }

    /// True where a shard has ended, which it does by a fault only while there is a handle.
    pub(crate) fn has_ended(&self) -> bool {
        self.shards.iter().any(mpsc::Sender::is_closed)
    }

    /// A log has an entry.
    pub(crate) async fn ring(&self, log: LogId, bell: Doorbell, origin: Origin) {
        let bytes = bell.entry.as_ref().map_or(0, |entry| entry.block.len());
        let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
        // Never closed: the room is there as long as the shards are.
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(kib).await else {
            return;
        };
        self.tell(self.shard(log), Command::Ring { log, bell, origin, room }).await;
    }

    /// A connection of that account signed in, which reads these logs: their last numbers are as given.
    pub(crate) async fn activate(&self, account: AccountId, logs: Vec<(LogId, u64)>) {
        for (shard, logs) in self.parted(logs, |(log, _)| *log) {
            self.tell(shard, Command::Activate(account, logs)).await;
        }
    }

    /// Accounts that are here may have become members without being told.
    pub(crate) async fn joined(&self, memberships: Vec<Membership>) {
        for (shard, memberships) in self.parted(memberships, |membership| membership.log) {
            self.tell(shard, Command::Joined(memberships)).await;
        }
    }

    /// The logs that somebody here reads, and up to which number each was heard of.
    pub(crate) async fn active(&self) -> Vec<(LogId, u64)> {
        let mut all = Vec::new();
        for shard in self.shards.iter() {
            let (answer, answered) = oneshot::channel();
            self.tell(shard, Command::Active(answer)).await;
            all.extend(answered.await.unwrap_or_default());
        }
        all
    }

    /// Active logs that go on up to these numbers: what was not heard of is read.
    pub(crate) async fn beyond(&self, logs: Vec<(LogId, u64)>) {
        for (shard, logs) in self.parted(logs, |(log, _)| *log) {
            self.tell(shard, Command::Beyond(logs)).await;
        }
    }

    /// The members by that version of the roster, or a later one, are told something that no log keeps.
    pub(crate) async fn hint(&self, hint: Hint, members_seq: u64, origin: Origin) {
        let shard = self.shard(hint.conversation());
        let command = Command::Hint { hint, members_seq, origin };
        self.tell(shard, command).await;
    }
}
