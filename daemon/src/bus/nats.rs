//! The bus through a NATS broker: core NATS, nothing kept by the broker.
//!
//! ```text
//!  send ─┐                                        ┌─ PREFIX.to.s1 ─┐
//!        ├─> table (numbers) ─> queue ─> envelopes ┤                ├─> open ─> table ─> events
//!  broadcast ─┘                                    └─ PREFIX.all ───┘
//! ```
//!
//! The prefix is derived from the fleet's key and its store, so that fleets
//! share a broker without hearing each other. What is sent while the broker is
//! away, or too fast for it, is dropped and counted; the [`table`] says what
//! was lost. A broker that is away stops nobody: it is dialled again and again,
//! and the servers look into the logs each second meanwhile.

mod connection;
mod envelope;
mod queue;
mod table;
mod trouble;

use super::{Bus, BusEvent, BusMetrics, EVENTS_QUEUE, Message};
use crate::fleet_key::FleetKey;
use async_trait::async_trait;
use bytes::Bytes;
use envelope::{Body, Sealer, To};
use fastchat_wire::control::{NatsPlace, Peer};
use queue::Queue;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};
use table::Table;
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// One server's end of the broker.
pub(crate) struct Nats {
    name: String,
    incarnation: u64,
    prefix: String,
    place: NatsPlace,
    sealer: Sealer,
    metrics: BusMetrics,
    state: Mutex<State>,
    /// There is something to send.
    work: Notify,
    /// There is something to tell.
    news: Notify,
    events: mpsc::Sender<BusEvent>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

/// What senders and the connection share.
struct State {
    table: Table,
    queue: Queue,
    /// Told in order by the one task that tells.
    untold: Vec<BusEvent>,
    /// A heartbeat is due at once.
    beat: bool,
}

impl Nats {
    /// Starts dialling; what arrives comes out of the receiver.
    pub(crate) fn start(
        name: String,
        store: &str,
        key: &FleetKey,
        place: NatsPlace,
        metrics: BusMetrics,
        shutdown: CancellationToken,
    ) -> (Arc<Self>, mpsc::Receiver<BusEvent>) {
        let (events, receiver) = mpsc::channel(EVENTS_QUEUE);
        let incarnation = incarnation();
        let bus = Arc::new(Self {
            prefix: prefix(key, store),
            sealer: Sealer::new(key),
            state: Mutex::new(State {
                table: Table::new(name.clone(), incarnation),
                queue: Queue::default(),
                untold: Vec::new(),
                beat: false,
            }),
            name,
            incarnation,
            place,
            metrics,
            work: Notify::new(),
            news: Notify::new(),
            events,
            shutdown,
            tasks: TaskTracker::new(),
        });
        let task = Arc::clone(&bus);
        bus.tasks.spawn(async move { connection::run(&task).await });
        (bus, receiver)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The subject of everybody.
    fn subject_of_all(&self) -> String {
        format!("{}.all", self.prefix)
    }

    /// The subject of one server.
    fn subject_of(&self, server: &str) -> String {
        // A dot parts the tokens of a subject; a colon is in no name.
        format!("{}.to.{}", self.prefix, server.replace('.', ":"))
    }

    /// Tells what is to be told.
    async fn tell(&self) {
        let untold = {
            let mut state = self.state();
            for (peer, up) in state.table.states() {
                self.metrics.show(peer, up);
            }
            std::mem::take(&mut state.untold)
        };
        for event in untold {
            if matches!(event, BusEvent::Silent(_)) {
                self.metrics.links_ended.inc();
            }
            // The receiver ends with the server; then there is nobody to tell.
            let _ = self.events.send(event).await;
        }
    }
}

impl State {
    /// Queues one message.
    fn queue(&mut self, to: To, number: u64, frame: &Bytes, metrics: &BusMetrics) {
        if self.queue.push(to, number, self.table.broadcasts(), frame) {
            metrics.messages_out.inc();
        } else {
            metrics.messages_dropped.inc();
        }
    }

    /// The heartbeat that is due: it counts what has left the queue.
    fn heartbeat(&mut self, now: Instant) -> Body {
        let mut body = self.table.beat(now);
        if let Body::Beat { broadcasts, peers, .. } = &mut body {
            for (to, first) in self.queue.firsts() {
                match to {
                    To::All => *broadcasts = (*broadcasts).min(first - 1),
                    To::One { link, server, .. } => {
                        let of = peers.iter_mut().find(|of| of.link == *link && of.peer == *server);
                        of.into_iter().for_each(|of| of.sent = of.sent.min(first - 1));
                    }
                }
            }
        }
        body
    }
}

/// A number that no earlier life of this server had; ms since the Unix epoch lead it, so that later ones are higher.
fn incarnation() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (u64::try_from(now.as_millis()).unwrap_or(u64::MAX) << 20) | u64::from(rand::random::<u32>() >> 12)
}

/// What the subjects of a fleet begin with.
fn prefix(key: &FleetKey, store: &str) -> String {
    let derived = key.derive("fastchat bus subjects v1", store.as_bytes());
    let id: String = derived[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("fastchat.{id}")
}

#[async_trait]
impl Bus for Nats {
    fn send_each(&self, servers: &[&str], message: &Message) {
        let frame = match message.encode() {
            Ok(frame) => frame,
            Err(error) => return tracing::error!(%error, "a bus message can't be written"),
        };
        let mut state = self.state();
        for server in servers {
            // Without a link it is deaf, and catches up when there is one.
            if let Some((to, number)) = state.table.number_one(server) {
                state.queue(to, number, &frame, &self.metrics);
            }
        }
        drop(state);
        self.work.notify_one();
    }

    fn broadcast(&self, message: &Message) {
        let frame = match message.encode() {
            Ok(frame) => frame,
            Err(error) => return tracing::error!(%error, "a bus message can't be written"),
        };
        let mut state = self.state();
        if !state.table.has_listeners() {
            return;
        }
        let number = state.table.number_all();
        state.queue(To::All, number, &frame, &self.metrics);
        drop(state);
        self.work.notify_one();
    }

    fn set_peers(self: Arc<Self>, peers: &[Peer]) {
        let mut state = self.state();
        let (gone, events) = state.table.set_peers(peers.iter().map(|peer| peer.name.as_str()));
        for peer in gone {
            self.metrics.forget(&peer);
        }
        for (peer, up) in state.table.states() {
            self.metrics.show(peer, up);
        }
        state.untold.extend(events);
        drop(state);
        self.news.notify_one();
    }

    fn is_whole(&self) -> bool {
        self.state().table.is_whole()
    }

    async fn stopped(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests;
