//! The other servers: telling them who is online here, and hearing who is online there.

mod watching;

use super::{
    delivery::{Delivery, Hint, Origin},
    feed::Doorbell,
    hub::{Hub, Pushed, Whose},
    metrics::ServerMetrics,
    presence::{Presence, Reply},
    watch::Watch,
};
use crate::{
    bus::{
        Bus, BusEvent, Message,
        message::{BLOCK_BYTES_BY_VALUE_MAX, Known, Piece},
    },
    store::{StoreError, accounts::SessionId},
};
use fastchat_wire::{AccountId, Block, encode_event, limits::PRESENCE_WAIT_MS_MAX};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc},
    time::{MissedTickBehavior, interval, timeout},
};

/// Accounts that one message names: 16 bytes each, no more than the longest block that travels by value.
pub(crate) const ACCOUNTS_PER_MESSAGE: usize = BLOCK_BYTES_BY_VALUE_MAX / 16;
/// While a link is down, or a peer doesn't know who is here, active logs are compared with the store so often.
const COMPARE: Duration = Duration::from_secs(1);

/// The other servers.
pub(crate) struct Peers {
    hub: Arc<Hub>,
    bus: Arc<dyn Bus>,
    presence: Mutex<Presence>,
    /// A peer acknowledged something, or its link ended.
    known: Notify,
    /// What other servers told may have been missed.
    missed: Notify,
    /// Who is told of whose presence. Locked before the presence, never after it.
    watch: Mutex<Watch>,
    /// Somebody who is watched may have come or gone.
    watched: Notify,
    metrics: ServerMetrics,
}

impl Peers {
    /// Nobody heard of yet.
    pub(crate) fn new(hub: Arc<Hub>, bus: Arc<dyn Bus>, metrics: ServerMetrics) -> Self {
        Self {
            hub,
            bus,
            presence: Mutex::default(),
            known: Notify::new(),
            missed: Notify::new(),
            watch: Mutex::default(),
            watched: Notify::new(),
            metrics,
        }
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An account came or went here: tells the others what is true now, and
    /// answers the change's number for [`Peers::known`].
    ///
    /// The hub is asked under the lock, so that of two changes at once the last
    /// one told is the one that holds.
    pub(crate) fn changed(&self, account: AccountId) -> u64 {
        let mut presence = self.presence();
        let seq = presence.announce();
        let (came, went) = if self.hub.is_online(account) {
            (vec![account], vec![])
        } else {
            (vec![], vec![account])
        };
        self.bus.broadcast(&Message::Delta { seq, came, went });
        drop(presence);
        self.note(&[account]);
        seq
    }

    /// Waits until the live peers know of a change; a peer that does not say so
    /// within [`PRESENCE_WAIT_MS_MAX`] counts as down until it does.
    pub(crate) async fn known(&self, seq: u64) {
        let wait = async {
            loop {
                let known = self.known.notified();
                tokio::pin!(known);
                known.as_mut().enable();
                if self.presence().is_known(seq) {
                    return;
                }
                known.await;
            }
        };
        if timeout(Duration::from_millis(PRESENCE_WAIT_MS_MAX), wait).await.is_err() {
            let late = self.presence().give_up(seq);
            tracing::warn!(?late, "other servers do not acknowledge a sign-in in time: their pushes come late");
            self.known.notify_waiters();
        }
    }

    /// True where no account is online on any other server.
    pub(crate) fn nobody_elsewhere(&self) -> bool {
        self.presence().is_empty()
    }

    /// Tells the servers on which one of these accounts is online.
    pub(crate) fn forward(&self, accounts: &(impl Iterator<Item = AccountId> + Clone), message: &Message) {
        let servers = self.presence().servers_of(accounts);
        if !servers.is_empty() {
            let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
            self.bus.send_each(&servers, message);
        }
    }

    /// The store did not answer at a sign-in: what it would have said is looked for later.
    pub(crate) fn doubt(&self, error: &StoreError) {
        tracing::warn!(%error, "a sign-in could not read all: what it missed is looked for");
        self.look();
    }

    /// Waits until what other servers told may have been missed.
    pub(crate) async fn missed(&self) {
        self.missed.notified().await;
    }

    /// Has what may have been missed looked for.
    fn look(&self) {
        self.missed.notify_one();
    }

    /// Tells every server.
    pub(crate) fn broadcast(&self, message: &Message) {
        self.bus.broadcast(message);
    }

    /// Under the presence's lock (whose `known` it is), so that no change goes
    /// out between the snapshot and its number.
    fn send_snapshot(&self, known: Known, server: &str) {
        let accounts = self.hub.accounts();
        let of = u32::try_from(accounts.len().div_ceil(ACCOUNTS_PER_MESSAGE))
            .unwrap_or(u32::MAX)
            .max(1);
        let mut pieces = accounts.chunks(ACCOUNTS_PER_MESSAGE);
        for number in 0..of {
            let message = Message::Snapshot {
                known,
                piece: Piece { number, of },
                accounts: pieces.next().unwrap_or_default().to_vec(),
            };
            self.bus.send(server, &message);
        }
    }

    /// Handles what the bus tells until it ends.
    pub(crate) async fn run(self: Arc<Self>, mut events: mpsc::Receiver<BusEvent>, delivery: Delivery) {
        let mut compare = interval(COMPARE);
        compare.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.handle(event, &delivery).await,
                    None => return,
                },
                _ = compare.tick() => self.look_around(),
            }
        }
    }

    /// Does what no event asks for: while a link is down, doorbells get lost unnoticed.
    fn look_around(&self) {
        let (unknown, told) = {
            let presence = self.presence();
            (presence.unknown(), presence.is_told())
        };
        // The question or its answer may have been lost as well.
        for peer in unknown {
            self.bus.send(&peer, &Message::Resync);
        }
        if !told || !self.bus.is_whole() {
            self.look();
        }
    }

    async fn handle(&self, event: BusEvent, delivery: &Delivery) {
        match event {
            BusEvent::Listening(peer, link) => {
                let mut presence = self.presence();
                let known = presence.listening(&peer, link);
                self.send_snapshot(known, &peer);
                if let Some(known) = presence.known(&peer) {
                    self.bus.send(&peer, &Message::Known(known));
                }
            }
            BusEvent::Deaf(peer, link) => {
                self.presence().deaf(&peer, link);
                self.known.notify_waiters();
            }
            BusEvent::Hears(peer) => {
                self.presence().hears(&peer);
                self.note_all();
                self.look();
            }
            BusEvent::Silent(peer) => {
                self.presence().silent(&peer);
                self.note_all();
                self.look();
            }
            BusEvent::Gap(peer) => {
                self.presence().gap(&peer);
                self.bus.send(&peer, &Message::Resync);
                self.look();
            }
            BusEvent::Message(peer, message) => self.message(&peer, message, delivery).await,
        }
    }

    fn reply(&self, peer: &str, reply: Reply) {
        match reply {
            Reply::Known(known) => self.bus.send(peer, &Message::Known(known)),
            Reply::Resync => self.bus.send(peer, &Message::Resync),
            Reply::Nothing => {}
        }
    }

    async fn message(&self, peer: &str, message: Message, delivery: &Delivery) {
        match message {
            Message::Entry { entry, members_seq } => {
                let log = entry.log;
                let bell = Doorbell {
                    seq: entry.seq,
                    members_seq: Some(members_seq),
                    entry: Some(entry),
                    appender: None,
                };
                delivery.ring(log, bell, Origin::Elsewhere).await;
            }
            Message::Bell { log, seq, members_seq } => delivery.ring(log, Doorbell::reference(seq, members_seq), Origin::Elsewhere).await,
            Message::Snapshot { known, piece, accounts } => {
                let reply = self.presence().snapshot(peer, known, piece, &accounts);
                self.reply(peer, reply);
                if reply != Reply::Nothing {
                    self.note_all();
                }
            }
            Message::Delta { seq, came, went } => {
                let reply = self.presence().delta(peer, seq, &came, &went);
                self.reply(peer, reply);
                self.note(&came);
                self.note(&went);
            }
            Message::Known(known) => {
                let knows_us_again = self.presence().acknowledged(peer, known);
                self.known.notify_waiters();
                if knows_us_again {
                    self.look();
                }
            }
            Message::Resync => {
                let mut presence = self.presence();
                if let Some(known) = presence.asked(peer) {
                    self.send_snapshot(known, peer);
                }
            }
            Message::SessionEnded(session) => self.hub.end(Whose::Session(SessionId(session))),
            Message::DeviceEnded(device) => self.hub.end(Whose::Device(device)),
            Message::AccountEnded(account) => self.hub.end(Whose::Account(account)),
            Message::Device(event, to) => self.tell_accounts(&event, &to),
            Message::Mark { mark, members_seq } => delivery.hint(Hint::Mark(mark), members_seq, Origin::Elsewhere).await,
            Message::Signal {
                signal,
                members_seq,
                block,
            } => {
                let hint = Hint::Signal {
                    signal,
                    block,
                    sender: None,
                };
                delivery.hint(hint, members_seq, Origin::Elsewhere).await;
            }
        }
    }

    /// Pushes an event to the connections that these accounts have here.
    pub(crate) fn tell_accounts<E: fastchat_wire::Event>(&self, event: &E, accounts: &[AccountId]) {
        match encode_event(None, event, &Block::none()) {
            Ok(frame) => {
                let mut pushed = Pushed::default();
                for account in accounts {
                    pushed += self.hub.push(*account, |_| Some(frame.clone()));
                }
                self.metrics.hints(E::NAME, pushed);
            }
            Err(error) => tracing::error!(%error, "an event can't be written"),
        }
    }
}
