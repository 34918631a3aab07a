//! The other servers: telling them who is online here, and hearing who is online there.

use super::{
    delivery::{Delivery, Origin},
    feed::Doorbell,
    hub::{Hub, Whose},
    presence::Presence,
};
use crate::{
    bus::{Bus, BusEvent, Message, mesh::Mesh},
    store::accounts::SessionId,
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

/// Accounts in one piece of a snapshot: 16 bytes each.
const SNAPSHOT_PIECE: usize = 30_000;
/// While a link is down, active logs are compared with the store so often.
const VERIFY: Duration = Duration::from_secs(1);

/// The other servers.
pub(crate) struct Peers {
    hub: Arc<Hub>,
    bus: Arc<Mesh>,
    presence: Mutex<Presence>,
    /// A peer acknowledged something, or its link ended.
    known: Notify,
}

impl Peers {
    /// Nobody heard of yet.
    pub(crate) fn new(hub: Arc<Hub>, bus: Arc<Mesh>) -> Self {
        Self {
            hub,
            bus,
            presence: Mutex::default(),
            known: Notify::new(),
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
        seq
    }

    /// The number of the last change told.
    pub(crate) fn announced(&self) -> u64 {
        self.presence().announced()
    }

    /// Waits until the live peers know of a change; a peer that does not say so
    /// within [`PRESENCE_WAIT_MS_MAX`] counts as down.
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
            tracing::warn!("another server did not acknowledge a sign-in in time: its pushes may come late");
        }
    }

    /// True where no account is online on any other server.
    pub(crate) fn nobody_elsewhere(&self) -> bool {
        self.presence().is_empty()
    }

    /// Tells the servers on which one of these accounts is online.
    pub(crate) fn forward(&self, accounts: &(impl Iterator<Item = AccountId> + Clone), message: &Message) {
        let servers = self.presence().servers_of(accounts);
        for server in servers {
            self.bus.send(&server, message);
        }
    }

    /// Tells every server.
    pub(crate) fn broadcast(&self, message: &Message) {
        self.bus.broadcast(message);
    }

    /// Under the presence's lock, so that no change goes out between the snapshot and its number.
    fn send_snapshot(&self, presence: &Presence, server: &str) {
        let accounts = self.hub.accounts();
        let seq = presence.announced();
        let mut pieces = accounts.chunks(SNAPSHOT_PIECE);
        let first = pieces.next().unwrap_or_default().to_vec();
        self.bus.send(
            server,
            &Message::Snapshot {
                seq,
                first: true,
                accounts: first,
            },
        );
        for piece in pieces {
            self.bus.send(
                server,
                &Message::Snapshot {
                    seq,
                    first: false,
                    accounts: piece.to_vec(),
                },
            );
        }
    }

    /// Handles what the bus tells until it ends.
    pub(crate) async fn run(self: Arc<Self>, mut events: mpsc::Receiver<BusEvent>, delivery: Delivery) {
        let mut verify = interval(VERIFY);
        verify.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.handle(event, &delivery).await,
                    None => return,
                },
                _ = verify.tick() => if !self.bus.hears_all() {
                    delivery.verify().await;
                },
            }
        }
    }

    async fn handle(&self, event: BusEvent, delivery: &Delivery) {
        match event {
            BusEvent::Listening(peer) => {
                let mut presence = self.presence();
                presence.listening(&peer, true);
                self.send_snapshot(&presence, &peer);
            }
            BusEvent::Deaf(peer) => {
                self.presence().listening(&peer, false);
                self.known.notify_waiters();
            }
            BusEvent::Hears(peer) | BusEvent::Silent(peer) => {
                self.presence().reset(&peer);
                delivery.verify().await;
            }
            BusEvent::Gap(peer) => {
                self.bus.send(&peer, &Message::Resync);
                delivery.verify().await;
            }
            BusEvent::Message(peer, message) => self.message(&peer, message, delivery).await,
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
            Message::Snapshot { seq, first, accounts } => {
                let mut presence = self.presence();
                if first {
                    presence.reset(peer);
                }
                presence.apply(peer, &accounts, &[]);
                drop(presence);
                self.bus.send(peer, &Message::Known { seq });
            }
            Message::Delta { seq, came, went } => {
                self.presence().apply(peer, &came, &went);
                self.bus.send(peer, &Message::Known { seq });
            }
            Message::Known { seq } => {
                self.presence().acknowledged(peer, seq);
                self.known.notify_waiters();
            }
            Message::Resync => {
                let presence = self.presence();
                self.send_snapshot(&presence, peer);
            }
            Message::SessionEnded(session) => self.hub.end(Whose::Session(SessionId(session))),
            Message::DeviceEnded(device) => self.hub.end(Whose::Device(device)),
            Message::AccountEnded(account) => self.hub.end(Whose::Account(account)),
            Message::Device(event, to) => self.tell_accounts(&event, &to),
            Message::Mark(mark) => delivery.mark(mark, Origin::Elsewhere).await,
        }
    }

    /// Pushes an event to the connections that these accounts have here.
    pub(crate) fn tell_accounts<E: fastchat_wire::Event>(&self, event: &E, accounts: &[AccountId]) {
        match encode_event(None, event, &Block::none()) {
            Ok(frame) => {
                for account in accounts {
                    self.hub.push(*account, |_| Some(frame.clone()));
                }
            }
            Err(error) => tracing::error!(%error, "an event can't be written"),
        }
    }
}
