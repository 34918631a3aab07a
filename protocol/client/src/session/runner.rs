//! A session's loop. It waits for nothing but what happens: all that takes
//! time runs beside it (`work`), and comes back as [`Done`].

use super::{
    Shared,
    arrive::{Setback, Token, blocking},
    course::Course,
    delivery::Delivery,
    ended::Ended,
    event::SessionEvent,
    work::{self, Done},
};
use crate::{
    config::Config,
    connection::{Closed, Connection},
    event::Event,
    limits::WAIT_MAX,
    outbox::lanes::Lanes,
    sync::Logs,
};
use fastchat_wire::{AccountId, DeviceId, LogId, MoveId};
use std::sync::{Arc, Mutex};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// A connection that is signed in.
struct Live {
    connection: Connection,
    since: Instant,
    account: AccountId,
    device: DeviceId,
}

/// Where the next try to arrive stands.
#[derive(Clone, Copy)]
enum Arrival {
    /// Not wanted.
    None,
    /// Begins then.
    At(Instant, Option<MoveId>),
    /// Is under way.
    UnderWay(Option<MoveId>),
}

pub(super) struct Runner<'a> {
    config: Arc<Config>,
    shared: &'a Shared,
    to_consumer: mpsc::Sender<SessionEvent>,
    announce: watch::Sender<Option<Connection>>,
    token: Token,
    /// The store's id, and how many stores there were.
    store: Option<Arc<str>>,
    stores: u64,
    course: Course,
    arrival: Arrival,
    live: Option<Live>,
    /// The server that was left, until its last answers are here.
    leaving: Option<(Live, Instant)>,
    logs: Logs,
    /// The archive, where it is not followed.
    ignored: Option<LogId>,
    fetches: usize,
    /// No fetch before then.
    fetch_pause: Option<Instant>,
    /// The last list's logs aren't all handed out yet.
    catching_up: bool,
    listing: bool,
    list_again: bool,
    lanes: Lanes,
    asking_outbox: bool,
    ask_outbox_again: bool,
    delivery: Delivery,
    work: JoinSet<Done>,
}

mod arriving;
mod outgoing;
mod receiving;

impl<'a> Runner<'a> {
    /// Runs until the session is over.
    pub(super) async fn run(
        config: Config,
        shared: &'a Shared,
        to_consumer: mpsc::Sender<SessionEvent>,
        touched: mpsc::Receiver<LogId>,
        announce: watch::Sender<Option<Connection>>,
    ) -> Ended {
        if let Err(error) = config.check() {
            return Ended::Usage(error.to_string());
        }
        let journal = Arc::clone(&shared.journal);
        let saved = match blocking(move || journal.load()).await {
            Ok(saved) => saved,
            Err(unkept) => return unkept.into(),
        };
        let Some(token) = saved.token else {
            return Ended::NoToken;
        };
        let runner = Self {
            course: Course::new(config.balancers.len(), rand::random()),
            config: Arc::new(config),
            shared,
            to_consumer,
            announce,
            token: Arc::new(Mutex::new(token)),
            logs: Logs::new(&saved.cursors),
            store: saved.store.map(Into::into),
            stores: 0,
            arrival: Arrival::At(Instant::now(), None),
            live: None,
            leaving: None,
            ignored: None,
            fetches: 0,
            fetch_pause: None,
            catching_up: false,
            listing: false,
            list_again: false,
            lanes: Lanes::default(),
            asking_outbox: false,
            ask_outbox_again: true,
            delivery: Delivery::default(),
            work: JoinSet::new(),
        };
        match runner.turn(touched).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn turn(mut self, mut touched: mpsc::Receiver<LogId>) -> Result<std::convert::Infallible, Ended> {
        let shared = self.shared;
        let to_consumer = self.to_consumer.clone();
        loop {
            let wake_at = self.begin_what_is_due();
            let live = self.live.as_ref().map(|live| live.connection.clone());
            let leaving = self.leaving.as_ref().map(|(left, _)| left.connection.clone());
            tokio::select! {
                biased;
                // What ended frees room, and fills holes before they are looked at.
                Some(done) = self.work.join_next() => match done {
                    Ok(done) => self.done(done)?,
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        // Nothing here cancels work: the runtime shuts down.
                        Err(_) => return Err(Ended::Closed),
                    },
                },
                // The consumer takes something.
                Ok(slot) = to_consumer.reserve(), if !self.delivery.is_empty() => {
                    if let Some(event) = self.delivery.pop() {
                        slot.send(event);
                    }
                }
                event = next_event(live.as_ref()) => match event {
                    Ok(event) => self.event(event),
                    Err(closed) => self.lost(&closed),
                },
                // A server that was left still says what came before it was.
                event = next_event(leaving.as_ref()) => match event {
                    Ok(Event::Entry(entry)) => self.event(Event::Entry(entry)),
                    Ok(_) => {}
                    Err(_) => self.leaving = None,
                },
                () = shared.woken.notified() => self.ask_outbox_again = true,
                Some(log) = touched.recv() => {
                    let touched = self.logs.touched(log);
                    self.believe(touched);
                }
                () = sleep_until(wake_at) => {}
            }
        }
    }

    /// Begins all that can begin now; says when there is more to begin.
    fn begin_what_is_due(&mut self) -> Instant {
        let now = Instant::now();
        let mut wake_at = now + WAIT_MAX;
        wake_at = wake_at.min(self.begin_arrival(now));
        if let Some((left, until)) = &self.leaving {
            if *until <= now {
                left.connection.close();
                self.leaving = None;
            } else {
                wake_at = wake_at.min(*until);
            }
        }
        if self.ask_outbox_again && !self.asking_outbox {
            self.asking_outbox = true;
            self.ask_outbox_again = false;
            self.work.spawn(work::waiting(Arc::clone(&self.shared.outbox)));
        }
        let Some(connection) = self.open_connection() else {
            return wake_at;
        };
        if self.list_again && !self.listing {
            self.listing = true;
            self.list_again = false;
            self.work.spawn(work::list(connection.clone()));
        }
        if self.catching_up && self.fetches == 0 && self.logs.nothing_due() {
            self.catching_up = false;
            self.delivery.push(SessionEvent::CaughtUp);
        }
        if self.delivery.has_room() {
            wake_at = wake_at.min(self.begin_fetches(&connection, now));
            wake_at = wake_at.min(self.begin_batches(&connection, now));
        }
        wake_at
    }

    fn done(&mut self, done: Done) -> Result<(), Ended> {
        match done {
            Done::Arrived(Ok(arrived)) => self.arrived(arrived),
            Done::Arrived(Err(Setback::End(ended))) => return Err(ended),
            Done::Arrived(Err(Setback::Retry(error, after))) => self.failed_to_arrive(&error, after),
            Done::Fetched {
                log,
                store,
                connection,
                page,
            } => {
                self.fetches -= 1;
                if store == self.stores {
                    self.fetched(log, &connection, page);
                }
            }
            Done::Listed(connection, listing) => {
                self.listing = false;
                match listing {
                    Ok(listing) => self.listed(listing),
                    Err(failure) => {
                        self.list_again = true;
                        self.pause_or_close(&connection, &failure);
                    }
                }
            }
            Done::Waiting(logs) => {
                self.asking_outbox = false;
                for log in logs? {
                    self.lanes.wake(log);
                }
            }
            Done::Sent {
                log,
                store,
                connection,
                batch,
            } => self.sent(log, store, &connection, batch?),
        }
        Ok(())
    }

    /// A server that names more logs than there can be is left.
    fn believe<E: std::fmt::Display>(&mut self, outcome: Result<(), E>) {
        if let (Err(error), Some(live)) = (outcome, &self.live) {
            tracing::warn!(%error, "a server that can't be believed");
            live.connection.close();
        }
    }

    fn open_connection(&self) -> Option<Connection> {
        let live = self.live.as_ref()?;
        live.connection.closed().is_none().then(|| live.connection.clone())
    }
}

async fn next_event(connection: Option<&Connection>) -> Result<Event, Closed> {
    match connection {
        Some(connection) => connection.next_event().await,
        None => std::future::pending().await,
    }
}
