//! Pushing: from doorbells to the outboxes of those who may read, in each log's order.
//!
//! A few shards, a log always on the same one; each is one task that owns its
//! logs' [`Feed`]s and rosters, so that no lock is held across a read.

mod shard;

pub(crate) use shard::event;

use super::{feed::Doorbell, hub::Hub, metrics::ServerMetrics, peers::Peers};
use crate::store::Store;
use fastchat_wire::{LogId, chat::mark::MarkEvent};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Where something came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This server: the others are told.
    Here,
    /// Another server, which tells the others itself.
    Elsewhere,
}

/// What a shard is asked.
#[derive(Debug)]
enum Command {
    Ring { log: LogId, bell: Doorbell, origin: Origin },
    Activate(Vec<(LogId, u64)>),
    Verify,
    Mark { mark: MarkEvent, origin: Origin },
}

/// Handle to the shards.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    shards: Arc<[mpsc::Sender<Command>]>,
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
            let (sender, receiver) = mpsc::channel(QUEUE);
            tasks.spawn(shard::Shard::new(parts.clone()).run(receiver));
            sender
        });
        Self { shards: shards.collect() }
    }

    fn shard(&self, log: LogId) -> &mpsc::Sender<Command> {
        // The last byte of a UUID is random, whatever its version.
        &self.shards[usize::from(log.0[15]) % self.shards.len()]
    }

    async fn tell(&self, shard: &mpsc::Sender<Command>, command: Command) {
        if shard.send(command).await.is_err() {
            tracing::error!("a delivery shard has ended: pushes are lost until their readers fetch");
        }
    }

    /// A log has an entry.
    pub(crate) async fn ring(&self, log: LogId, bell: Doorbell, origin: Origin) {
        self.tell(self.shard(log), Command::Ring { log, bell, origin }).await;
    }

    /// Somebody who reads these logs is here: their last numbers are as given.
    pub(crate) async fn activate(&self, logs: Vec<(LogId, u64)>) {
        let mut by_shard: Vec<Vec<(LogId, u64)>> = vec![Vec::new(); self.shards.len()];
        for (log, last_seq) in logs {
            by_shard[usize::from(log.0[15]) % self.shards.len()].push((log, last_seq));
        }
        for (shard, logs) in self.shards.iter().zip(by_shard).filter(|(_, logs)| !logs.is_empty()) {
            self.tell(shard, Command::Activate(logs)).await;
        }
    }

    /// Doorbells may have been lost: compares all active logs with the store.
    pub(crate) async fn verify(&self) {
        for shard in self.shards.iter() {
            self.tell(shard, Command::Verify).await;
        }
    }

    /// Watermarks moved.
    pub(crate) async fn mark(&self, mark: MarkEvent, origin: Origin) {
        self.tell(self.shard(mark.conversation), Command::Mark { mark, origin }).await;
    }
}
