//! The mesh: every server dials every other one; each link carries one direction.
//!
//! ```text
//!  s1 ── hello, messages, heartbeats ──> s2        s1's own outgoing link to s2
//!  s1 <── hello, messages, heartbeats ── s2        s2's own outgoing link to s1
//! ```
//!
//! A heartbeat says how many messages the sender has put on the link, dropped
//! ones too; the receiver compares. A link that is silent for
//! [`LINK_SILENCE`] is dead.

mod incoming;
mod outgoing;

use super::{Bus, BusEvent, Message};
use crate::{
    fleet_key::FleetKey,
    net::{door::Door, outbox::Outbox, transport::Transport},
};
use fastchat_wire::control::Peer;
use prometheus::{IntCounter, IntGaugeVec};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Between two heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// A link without any frame for so long is dead.
const LINK_SILENCE: Duration = Duration::from_millis(1_000);
/// Bytes that wait for one peer; beyond, messages are dropped and counted.
const LINK_BYTES_MAX: usize = 16 << 20;
/// Messages that wait for one peer.
const LINK_MESSAGES_MAX: usize = 65_536;

/// What the mesh counts.
#[derive(Debug, Clone)]
pub(crate) struct MeshMetrics {
    /// Messages received.
    pub(crate) messages_in: IntCounter,
    /// Messages queued for a peer.
    pub(crate) messages_out: IntCounter,
    /// Messages dropped because a peer's queue was full.
    pub(crate) messages_dropped: IntCounter,
    /// 1 where we hear that peer.
    pub(crate) link_up: IntGaugeVec,
}

/// The mesh of one server.
#[derive(Debug)]
pub(crate) struct Mesh {
    name: String,
    key: FleetKey,
    door: Door,
    transport: Transport,
    metrics: MeshMetrics,
    events: mpsc::Sender<BusEvent>,
    links: Mutex<HashMap<String, Link>>,
    /// The incoming link in force of each server that there is one from.
    heard: Mutex<HashMap<String, (u64, CancellationToken)>>,
    next_link: AtomicU64,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

/// The outgoing link to one peer.
#[derive(Debug)]
struct Link {
    address: String,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

/// What a link's task and its senders share.
#[derive(Debug)]
struct Shared {
    outbox: Mutex<Option<Arc<Outbox>>>,
    dropped: AtomicU64,
}

impl Shared {
    fn outbox(&self) -> MutexGuard<'_, Option<Arc<Outbox>>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// First frame of a link, and its heartbeat.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
enum Control {
    #[serde(rename = "bus-hello")]
    Hello { from: String, token: fastchat_wire::Secret },
    #[serde(rename = "bus-heartbeat")]
    Heartbeat { sent: u64 },
}

impl Mesh {
    /// Starts listening; what arrives comes out of the receiver.
    pub(crate) fn start(
        name: String,
        key: FleetKey,
        (listener, door): (TcpListener, Door),
        transport: Transport,
        metrics: MeshMetrics,
        shutdown: CancellationToken,
    ) -> (Arc<Self>, mpsc::Receiver<BusEvent>) {
        let (events, receiver) = mpsc::channel(EVENTS_QUEUE);
        let mesh = Arc::new(Self {
            name,
            key,
            door,
            transport,
            metrics,
            events,
            links: Mutex::default(),
            heard: Mutex::default(),
            next_link: AtomicU64::new(0),
            shutdown,
            tasks: TaskTracker::new(),
        });
        mesh.tasks.spawn(incoming::accept(Arc::clone(&mesh), listener));
        (mesh, receiver)
    }

    /// Dials these peers and no others.
    pub(crate) fn set_peers(self: &Arc<Self>, peers: &[Peer]) {
        let mut links = self.links();
        links.retain(|name, link| {
            let stays = peers.iter().any(|peer| peer.name == *name && peer.address == link.address);
            if !stays {
                link.stop.cancel();
                // What it still tells is heard; but it is none of ours any more.
                let _ = self.metrics.link_up.remove_label_values(&[name]);
            }
            stays
        });
        for peer in peers.iter().filter(|peer| peer.name != self.name) {
            if links.contains_key(&peer.name) {
                continue;
            }
            let stop = self.shutdown.child_token();
            let shared = Arc::new(Shared {
                outbox: Mutex::default(),
                dropped: AtomicU64::new(0),
            });
            self.tasks
                .spawn(outgoing::run(Arc::clone(self), peer.clone(), Arc::clone(&shared), stop.clone()));
            links.insert(
                peer.name.clone(),
                Link {
                    address: peer.address.clone(),
                    shared,
                    stop,
                },
            );
            self.show_of(&links, &peer.name);
        }
    }

    /// True where every peer is heard and there is a link to it.
    pub(crate) fn is_whole(&self) -> bool {
        let links = self.links();
        links
            .iter()
            .all(|(peer, link)| self.is_heard(peer) && link.shared.outbox().is_some())
    }

    /// Shows whether a peer is heard; one that isn't in the spec has no metric.
    fn show(&self, peer: &str) {
        self.show_of(&self.links(), peer);
    }

    fn show_of(&self, links: &HashMap<String, Link>, peer: &str) {
        if links.contains_key(peer) {
            let up = i64::from(self.is_heard(peer));
            self.metrics.link_up.with_label_values(&[peer]).set(up);
        }
    }

    /// Waits for the mesh's tasks to end, after the shutdown token was cancelled.
    pub(crate) async fn stopped(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn is_heard(&self, peer: &str) -> bool {
        self.heard().contains_key(peer)
    }

    fn links(&self) -> MutexGuard<'_, HashMap<String, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, HashMap<String, (u64, CancellationToken)>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, shared: &Shared, frame: bytes::Bytes) {
        // Without a link the peer is deaf, and catches up when there is one.
        let Some(outbox) = shared.outbox().clone() else { return };
        if outbox.push(frame) {
            self.metrics.messages_out.inc();
        } else {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            self.metrics.messages_dropped.inc();
        }
    }

    async fn tell(&self, event: BusEvent) {
        // The receiver ends with the server; then there is nobody to tell.
        let _ = self.events.send(event).await;
    }
}

/// Events that wait to be handled; then links are read more slowly.
const EVENTS_QUEUE: usize = 4_096;

impl Bus for Mesh {
    fn send(&self, server: &str, message: &Message) {
        let shared = self.links().get(server).map(|link| Arc::clone(&link.shared));
        if let Some(shared) = shared {
            match message.encode() {
                Ok(frame) => self.queue(&shared, frame),
                Err(error) => tracing::error!(%error, "a bus message can't be written"),
            }
        }
    }

    fn broadcast(&self, message: &Message) {
        match message.encode() {
            Ok(frame) => {
                for link in self.links().values() {
                    self.queue(&link.shared, frame.clone());
                }
            }
            Err(error) => tracing::error!(%error, "a bus message can't be written"),
        }
    }
}
