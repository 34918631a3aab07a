//! A session's loop. It waits for nothing but what happens: all that takes
//! time runs beside it (`work`), and comes back as [`Done`].

use super::{
    Shared,
    arrive::{Arrived, Setback, Token, arrive, blocking},
    course::Course,
    delivery::Delivery,
    ended::Ended,
    event::SessionEvent,
    work::{self, Done},
};
use crate::{
    chat::Listing,
    config::Config,
    connection::{Closed, Connection},
    error::Failure,
    event::Event,
    limits::WAIT_MAX,
    outbox::lanes::Lanes,
    sync::{Logs, Step},
};
use fastchat_wire::{AccountId, DeviceId, LogId, MoveId, chat::move_to::Move};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
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
    listing: bool,
    list_again: bool,
    lanes: Lanes,
    asking_outbox: bool,
    ask_outbox_again: bool,
    delivery: Delivery,
    work: JoinSet<Done>,
}

mod outgoing;

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
            Err(error) => return Ended::journal(&error),
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
        if let Arrival::At(at, move_id) = self.arrival {
            if at <= now {
                self.arrival = Arrival::UnderWay(move_id);
                let try_it = arrive(
                    Arc::clone(&self.config),
                    Arc::clone(&self.shared.journal),
                    Arc::clone(&self.token),
                    self.store.as_deref().map(str::to_owned),
                    self.course.balancer(),
                    move_id,
                );
                self.work.spawn(async { Done::Arrived(try_it.await) });
            } else {
                wake_at = wake_at.min(at);
            }
        }
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
        if self.delivery.has_room() {
            wake_at = wake_at.min(self.begin_fetches(&connection, now));
            wake_at = wake_at.min(self.begin_batches(&connection, now));
        }
        wake_at
    }

    fn begin_fetches(&mut self, connection: &Connection, now: Instant) -> Instant {
        let mut wake_at = now + WAIT_MAX;
        if let Some(until) = self.fetch_pause {
            if until > now {
                return until;
            }
            self.fetch_pause = None;
        }
        while self.fetches < crate::limits::FETCHES_MAX {
            let (lanes, patience) = (&self.lanes, self.config.timing.hole_patience);
            let due = self.logs.begin_fetch(|log| match lanes.hole_deadline(log, patience) {
                Some(deadline) if deadline > now => {
                    wake_at = wake_at.min(deadline);
                    true
                }
                _ => false,
            });
            let Some((log, after)) = due else {
                break;
            };
            self.fetches += 1;
            self.work.spawn(work::fetch(connection.clone(), log, after, self.stores));
        }
        wake_at
    }

    fn done(&mut self, done: Done) -> Result<(), Ended> {
        match done {
            Done::Arrived(Ok(arrived)) => self.arrived(arrived),
            Done::Arrived(Err(Setback::End(ended))) => return Err(ended),
            Done::Arrived(Err(Setback::Retry(error, after))) => {
                let pause = self.course.failed(&self.config.timing, after, rand::random());
                // Still live: a move that fails goes on with its id, until the server closes.
                let move_id = match self.arrival {
                    Arrival::UnderWay(move_id) if self.live.is_some() => move_id,
                    _ => None,
                };
                self.arrival = Arrival::At(Instant::now() + pause, move_id);
                if self.live.is_none() {
                    self.away(error.to_string(), pause);
                }
            }
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
                for log in logs.map_err(|error| Ended::journal(&error))? {
                    self.lanes.wake(log);
                }
            }
            Done::Sent {
                log,
                store,
                connection,
                batch,
            } => self.sent(log, store, &connection, batch.map_err(|error| Ended::journal(&error))?),
        }
        Ok(())
    }

    fn arrived(&mut self, arrived: Arrived) {
        self.arrival = Arrival::None;
        if self.store.as_deref() != Some(&arrived.store) {
            if self.store.is_some() {
                self.delivery.push(SessionEvent::StoreChanged);
            }
            self.store = Some(arrived.store.into());
            self.stores += 1;
            self.logs = Logs::default();
        }
        self.ignored = (!self.config.follow_archive).then(|| LogId::archive_of(arrived.account));
        self.delivery.push(SessionEvent::Live {
            server: arrived.server,
            account: arrived.account,
            device: arrived.device,
        });
        let live = Live {
            connection: arrived.connection,
            since: Instant::now(),
            account: arrived.account,
            device: arrived.device,
        };
        let _ = self.announce.send(Some(live.connection.clone()));
        if let Some(left) = self.live.replace(live) {
            self.leaving = Some((left, Instant::now() + self.config.timing.farewell));
        }
        self.fetch_pause = None;
        self.listed(arrived.listing);
        self.ask_outbox_again = true;
    }

    /// What the account can read: what is beyond the cursors is fetched.
    fn listed(&mut self, listing: Listing) {
        let conversations = listing.conversations.iter().map(|found| (found.conversation, found.last_seq));
        let own = listing
            .inbox
            .iter()
            .chain(&listing.archive)
            .map(|bounds| (bounds.log, bounds.last_seq));
        for (log, last_seq) in conversations.chain(own) {
            self.rung(log, last_seq);
        }
        self.delivery.push(SessionEvent::Listed(Arc::new(listing)));
    }

    fn rung(&mut self, log: LogId, last_seq: u64) {
        if self.ignored != Some(log) {
            let rung = self.logs.rung(log, last_seq);
            self.believe(rung);
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Entry(entry) if self.ignored == Some(entry.log()) => {}
            Event::Entry(entry) => {
                let mut steps = Vec::new();
                let heard = self.logs.heard(entry, self.delivery.has_room(), &mut steps);
                self.believe(heard);
                self.hand_out(steps);
            }
            Event::Behind(behind) => match (behind.log, behind.last_seq) {
                (Some(log), Some(last_seq)) => self.rung(log, last_seq),
                (Some(log), None) if self.ignored != Some(log) => {
                    let touched = self.logs.touched(log);
                    self.believe(touched);
                }
                (Some(_), None) => {}
                (None, _) => self.list_again = true,
            },
            Event::Move(moving) => self.moving(&moving),
            Event::Mark(mark) => self.delivery.push(SessionEvent::Mark(mark)),
            Event::Signal(signal, block) => self.delivery.push(SessionEvent::Signal(signal, block)),
            Event::Device(device) => self.delivery.push(SessionEvent::Device(device)),
            Event::Presence(presence) => self.delivery.push(SessionEvent::Presence(presence)),
        }
    }

    fn moving(&mut self, moving: &Move) {
        if matches!(self.arrival, Arrival::None) {
            let after = Duration::from_millis(moving.after_ms).min(WAIT_MAX);
            self.arrival = Arrival::At(Instant::now() + after, Some(moving.id));
        }
    }

    /// The connection is over: back to a balancer.
    fn lost(&mut self, closed: &Closed) {
        let Some(live) = self.live.take() else {
            return;
        };
        let _ = self.announce.send(None);
        let pause = self.course.lost(&self.config.timing, live.since.elapsed(), rand::random());
        match self.arrival {
            // A move is under way: it arrives as well without the old server.
            Arrival::UnderWay(_) => {}
            Arrival::None | Arrival::At(..) => self.arrival = Arrival::At(Instant::now() + pause, None),
        }
        self.away(closed.to_string(), pause);
    }

    fn away(&mut self, reason: String, retry_after: Duration) {
        tracing::debug!(reason, ?retry_after, "no server");
        self.delivery.push(SessionEvent::Away { reason, retry_after });
    }

    fn fetched(&mut self, log: LogId, connection: &Connection, page: Result<crate::chat::Page, Failure>) {
        match page {
            Ok(page) => {
                let mut steps = Vec::new();
                let fetched = self.logs.fetched(log, page, &mut steps);
                self.hand_out(steps);
                if let Err(wrong) = fetched {
                    tracing::warn!(wrong, "a page that can't be");
                    connection.close();
                }
            }
            Err(failure) if failure.code() == Some(fastchat_wire::Code::NotMember) => {
                self.logs.forget(log);
                self.delivery.push(SessionEvent::NotMember(log));
            }
            Err(failure) => {
                self.logs.fetch_failed(log);
                self.pause_or_close(connection, &failure);
            }
        }
    }

    /// A refusal is waited out; after anything else the connection is no good.
    fn pause_or_close(&mut self, connection: &Connection, failure: &Failure) {
        match failure {
            Failure::Refused(refused) => {
                let pause = refused.retry_after.unwrap_or_default() + self.config.timing.backoff_min;
                self.fetch_pause = Some(Instant::now() + pause);
            }
            _ => connection.close(),
        }
    }

    fn hand_out(&mut self, steps: Vec<Step>) {
        let Some(store) = &self.store else {
            return;
        };
        for step in steps {
            self.delivery.push(match step {
                Step::Entry(entry) => SessionEvent::Entry {
                    entry,
                    store: Arc::clone(store),
                },
                Step::Gap { log, after, first } => SessionEvent::Gap { log, after, first },
            });
        }
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
