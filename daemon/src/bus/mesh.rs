//! The mesh: every server dials every other one; each link carries messages one way.
//!
//! ```text
//!  s1                                            s2
//!   ── hello: version, from, to, nonce ────────>      who is asked for, by whom
//!   <─ welcome: nonce, proof ───────────────────      s2 has the fleet's key
//!   ── proof ──────────────────────────────────>      s1 has it too: the link is up
//!   ── messages, heartbeat: how many were sent ─>
//!   <─ heard ───────────────────────────────────      each 250 ms: the link stands
//! ```
//!
//! A heartbeat counts the messages that the sender has put on the link, dropped
//! ones too; the receiver compares. Either side that hears nothing for
//! [`LINK_SILENCE`](super::LINK_SILENCE) ends the link, however open its socket looks.

#[cfg(test)]
pub(crate) mod handshake;
#[cfg(not(test))]
mod handshake;
mod incoming;
mod outgoing;

use super::{Bus, BusEvent, BusMetrics, EVENTS_QUEUE, Message};
use crate::{
    fleet_key::FleetKey,
    net::{door::Door, outbox::Outbox, transport::Transport},
};
use async_trait::async_trait;
use bytes::Bytes;
use fastchat_wire::control::Peer;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Bytes that wait for one peer; beyond, messages are dropped and counted.
const LINK_BYTES_MAX: usize = 16 << 20;
/// Messages that wait for one peer.
const LINK_MESSAGES_MAX: usize = 65_536;
/// Links that may be at their greeting at once; the next one is closed.
const GREETINGS_MAX: usize = 64;

/// The mesh of one server.
#[derive(Debug)]
pub(crate) struct Mesh {
    name: String,
    key: FleetKey,
    door: Door,
    transport: Transport,
    metrics: BusMetrics,
    events: mpsc::Sender<BusEvent>,
    links: Mutex<HashMap<String, Link>>,
    /// The incoming link in force of each server that there is one from.
    heard: Mutex<HashMap<String, (u64, CancellationToken)>>,
    next_link: AtomicU64,
    greetings: Semaphore,
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

impl Mesh {
    /// Starts listening; what arrives comes out of the receiver.
    pub(crate) fn start(
        name: String,
        key: FleetKey,
        (listener, door): (TcpListener, Door),
        transport: Transport,
        metrics: BusMetrics,
        shutdown: CancellationToken,
    ) -> (Arc<Self>, mpsc::Receiver<BusEvent>) {
        let (events, receiver) = mpsc::channel(EVENTS_QUEUE);
        metrics.connected.set(1);
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
            greetings: Semaphore::new(GREETINGS_MAX),
            shutdown,
            tasks: TaskTracker::new(),
        });
        mesh.tasks.spawn(incoming::accept(Arc::clone(&mesh), listener));
        (mesh, receiver)
    }

    /// Shows whether a peer is heard; one that isn't in the spec has no metric.
    fn show(&self, peer: &str) {
        self.show_of(&self.links(), peer);
    }

    fn show_of(&self, links: &HashMap<String, Link>, peer: &str) {
        if links.contains_key(peer) {
            self.metrics.show(peer, self.is_heard(peer));
        }
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

    fn queue(&self, shared: &Shared, frame: Bytes) {
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

#[async_trait]
impl Bus for Mesh {
    fn send_each(&self, servers: &[&str], message: &Message) {
        let shared: Vec<_> = {
            let links = self.links();
            let links = servers.iter().filter_map(|server| links.get(*server));
            links.map(|link| Arc::clone(&link.shared)).collect()
        };
        match message.encode() {
            Ok(frame) => shared.iter().for_each(|shared| self.queue(shared, frame.clone())),
            Err(error) => tracing::error!(%error, "a bus message can't be written"),
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

    fn set_peers(self: Arc<Self>, peers: &[Peer]) {
        let mut links = self.links();
        links.retain(|name, link| {
            let stays = peers.iter().any(|peer| peer.name == *name && peer.address == link.address);
            if !stays {
                link.stop.cancel();
                // What it still tells is heard; but it is none of ours any more.
                self.metrics.forget(name);
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
                .spawn(outgoing::run(Arc::clone(&self), peer.clone(), Arc::clone(&shared), stop.clone()));
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

    fn is_whole(&self) -> bool {
        let links = self.links();
        links
            .iter()
            .all(|(peer, link)| self.is_heard(peer) && link.shared.outbox().is_some())
    }

    async fn stopped(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests;
