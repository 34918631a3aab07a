//! One member of a conversation: sends, takes, and comes back after every loss,
//! as PROTOCOL.md says: balancer, resume, fetch from the cursor, and whatever
//! has an unknown outcome again with the same entry id.

use super::{
    cursor::Cursor,
    evidence::{Acknowledged, Message, Record},
    readback::message_of,
};
use crate::{
    book::Account,
    clock::Clock,
    enter::Entrance,
    line::{Arrived, Line},
    mould::{FIRST_ID, Mould},
    sends::Sends,
    stamp::Stamp,
    tally::{Tally, add},
    trouble::Trouble,
};
use fastchat_wire::{
    Block, ErrorBody, MoveId, Request,
    chat::{
        fetch::{Fetch, Fetched},
        move_to::Move,
        ping::Ping,
    },
    limits::PAGE_MAX,
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    pin::pin,
    rc::Rc,
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// A member looks after itself this often.
const TICK: Duration = Duration::from_millis(250);
/// A hole that lasts so many ticks is fetched …
const HOLE_TICKS: u32 = 2;
/// … and so is the end of a log that others have seen; lost doorbells are repaired by the fleet before that.
const TAIL_TICKS: u32 = 8;
/// A connection that is silent for 60 s is closed by the server: every so many ticks a ping.
const PING_TICKS: u32 = 100;
/// Nothing at all for so many ticks, with answers outstanding: the connection is dead.
const SILENT_TICKS: u32 = 40;
/// To sign in takes at most this long.
const SIGN_IN: Duration = Duration::from_secs(20);
/// Between two attempts to come back.
const BACKOFF: Duration = Duration::from_millis(100);
/// Where a refusal does not say when to try again.
const RETRY_MS: u64 = 100;

/// What the members of all conversations share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) entrance: Rc<Entrance>,
    pub(crate) tally: Rc<Tally>,
    /// The run makes no sense any more.
    pub(crate) broken: CancellationToken,
    /// Tells this run's messages from others.
    pub(crate) run: u32,
    /// A member's messages without an answer.
    pub(crate) window: u64,
    /// New messages are sent.
    pub(crate) sending: Cell<bool>,
    pub(crate) reconnects: Cell<u64>,
    pub(crate) sent_again: Cell<u64>,
}

/// A conversation and what is known of it.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) record: RefCell<Record>,
    /// The last entry that anybody knows of.
    pub(crate) known: Cell<u64>,
    /// One for each member.
    pub(crate) desks: Vec<Desk>,
}

/// What a member has to do, and how far it is.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// Intended times of messages that are due.
    pub(crate) due: RefCell<VecDeque<u64>>,
    pub(crate) wake: Notify,
    /// The last entry that it took.
    cursor: Cell<u64>,
    unanswered: Cell<u64>,
}

impl Conversation {
    /// True where every member has every answer, and everything that anybody knows of.
    pub(crate) fn is_settled(&self) -> bool {
        let known = self.known.get();
        let settled = |desk: &Desk| desk.unanswered.get() == 0 && desk.cursor.get() == known;
        self.desks.iter().all(settled)
    }
}

/// One member.
#[derive(Debug)]
pub(crate) struct Member {
    shared: Rc<Shared>,
    conversation: Rc<Conversation>,
    me: usize,
    seat: usize,
    account: Account,
    mould: Mould,
    log_text: String,
    sends: Sends,
    cursor: Cursor,
    /// A fetch is needed, or which request it is.
    wants_fetch: bool,
    fetch_id: Option<u64>,
    /// Refused messages wait until then.
    retry_at: Option<Instant>,
    /// A refusal that no later try will not meet.
    refused: Option<ErrorBody>,
    /// The server asked it to go elsewhere.
    moved: Option<Move>,
    /// Since when it is not served.
    away_ns: Option<u64>,
    ticks: u32,
    /// Ticks since the cursor moved, and since anything arrived.
    still: u32,
    silent: u32,
}

impl Member {
    /// A member that is not connected.
    ///
    /// # Errors
    /// Its appends can't be encoded.
    pub(crate) fn new(
        shared: Rc<Shared>,
        conversation: Rc<Conversation>,
        me: usize,
        seat: usize,
        account: Account,
        size: usize,
    ) -> Result<Self, Trouble> {
        let log = conversation.record.borrow().log;
        Ok(Self {
            shared,
            conversation,
            me,
            seat,
            account,
            mould: Mould::new(log, size, rand::random())?,
            log_text: log.to_string(),
            sends: Sends::default(),
            cursor: Cursor::default(),
            wants_fetch: false,
            fetch_id: None,
            retry_at: None,
            refused: None,
            moved: None,
            away_ns: None,
            ticks: 0,
            still: 0,
            silent: 0,
        })
    }

    /// Lives until it is dropped.
    pub(crate) async fn live(mut self, mut line: Option<Line>) {
        let mut move_id: Option<MoveId> = None;
        loop {
            let here = match line.take() {
                Some(line) => Ok(line),
                None => self.come_back(move_id.take()).await,
            };
            let lost = match here {
                Ok(line) => {
                    let now_ns = self.shared.clock.now_ns();
                    if let Some(away_ns) = self.away_ns.take() {
                        self.shared.tally.operation.record_ns(now_ns.saturating_sub(away_ns));
                    }
                    let Err(lost) = self.serve(line).await;
                    self.away_ns.get_or_insert_with(|| self.shared.clock.now_ns());
                    add(&self.shared.reconnects, 1);
                    self.sends.lost();
                    self.fetch_id = None;
                    self.retry_at = None;
                    lost
                }
                Err(trouble) => trouble,
            };
            if let Some(moved) = self.moved.take() {
                move_id = Some(moved.id);
                continue;
            }
            self.shared.tally.error(lost.code());
            if self.refused.is_some() {
                self.shared.broken.cancel();
                return;
            }
            sleep(BACKOFF).await;
        }
    }

    async fn come_back(&mut self, move_id: Option<MoveId>) -> Result<Line, Trouble> {
        let entrance = Rc::clone(&self.shared.entrance);
        let signed_in = timeout(SIGN_IN, entrance.sign_in(self.seat, &mut self.account, move_id)).await;
        signed_in.unwrap_or_else(|_| Err(Trouble::CannotConnect("nobody answers".to_owned())))
    }

    /// Serves a connection until it is lost.
    async fn serve(&mut self, mut line: Line) -> Result<std::convert::Infallible, Trouble> {
        let shared = Rc::clone(&self.shared);
        let conversation = Rc::clone(&self.conversation);
        let desk = &conversation.desks[self.me];
        let mut tick = pin!(sleep(TICK));
        self.silent = 0;
        self.fetch(&mut line)?;
        loop {
            self.fill(desk, &mut line);
            desk.unanswered.set(self.sends.unanswered());
            let mut now_ns = None;
            let take = |arrived: &Arrived<'_>| {
                let now_ns = *now_ns.get_or_insert_with(|| shared.clock.now_ns());
                self.take(arrived, now_ns);
            };
            tokio::select! {
                biased;
                turned = line.turn(&shared.entrance.pool, take) => {
                    turned?;
                    self.silent = 0;
                }
                () = desk.wake.notified() => {}
                () = &mut tick => {
                    tick.as_mut().reset(Instant::now() + TICK);
                    self.tick(&mut line)?;
                }
            }
            desk.cursor.set(self.cursor.last());
            if let Some(error) = &self.refused {
                return Err(Trouble::Refused(error.clone()));
            }
            if let Some(moved) = &self.moved {
                self.away_ns = Some(shared.clock.now_ns());
                sleep(Duration::from_millis(moved.after_ms)).await;
                return Err(Trouble::CannotConnect("the server asked it to move".to_owned()));
            }
            if self.wants_fetch {
                self.fetch(&mut line)?;
            }
        }
    }

    /// Queues what is to be sent now: first whatever has an unknown outcome.
    fn fill(&mut self, desk: &Desk, line: &mut Line) {
        let stamp = |number, sent_ns| Stamp {
            number,
            sent_ns,
            run: self.shared.run,
            sender: self.me as u32,
        };
        if self.sends.is_held_up() {
            if self.retry_at.is_none_or(|at| at <= Instant::now()) {
                self.retry_at = None;
                for sent in self.sends.again() {
                    self.mould.cast(&stamp(sent.number, sent.sent_ns), &mut line.out);
                    add(&self.shared.sent_again, 1);
                }
            }
            return;
        }
        let mut due = desk.due.borrow_mut();
        while self.shared.sending.get()
            && self.sends.unanswered() < self.shared.window
            && let Some(due_ns) = due.pop_front()
        {
            let number = self.sends.push(due_ns);
            self.conversation.record.borrow_mut().sent[self.me] = number + 1;
            self.mould.cast(&stamp(number, due_ns), &mut line.out);
            add(&self.shared.tally.sent, 1);
        }
    }

    fn take(&mut self, arrived: &Arrived<'_>, now_ns: u64) {
        match (arrived.glance.event, arrived.glance.re) {
            (Some(b"entry"), re) if arrived.glance.log == Some(self.log_text.as_bytes()) => {
                let Some(seq) = arrived.glance.seq else {
                    return;
                };
                let found = message_of(arrived.block, self.shared.run);
                let is_new = self.note(seq, found.map(|(message, _)| message));
                if let Some((_, stamp)) = found.filter(|(message, _)| is_new && message.sender != self.me as u32) {
                    let tally = &self.shared.tally;
                    add(&tally.delivered, 1);
                    add(&tally.fetched, u64::from(re.is_some()));
                    tally.to_deliver.record_ns(now_ns.saturating_sub(stamp.sent_ns));
                }
            }
            (Some(b"behind"), _) => self.wants_fetch = true,
            (Some(b"move"), _) => self.moved = serde_json::from_slice(arrived.header).ok(),
            (None, Some(re)) if re >= FIRST_ID => self.take_answer(re - FIRST_ID, arrived, now_ns),
            (None, re) if re.is_some() && re == self.fetch_id => {
                self.fetch_id = None;
                // A page that can't be read is asked for again.
                let fetched = serde_json::from_slice(arrived.header);
                self.wants_fetch = arrived.glance.failed || fetched.is_ok_and(|fetched: Fetched| fetched.more);
            }
            _ => {}
        }
    }

    /// An entry is there; true where it was not known before.
    fn note(&mut self, seq: u64, message: Option<Message>) -> bool {
        let known = &self.conversation.known;
        known.set(known.get().max(seq));
        let before = self.cursor.last();
        let mut record = self.conversation.record.borrow_mut();
        self.cursor.note(seq, message, &mut record.taken[self.me]);
        if self.cursor.last() > before {
            self.still = 0;
        }
        seq > before
    }

    fn take_answer(&mut self, number: u64, arrived: &Arrived<'_>, now_ns: u64) {
        let tally = Rc::clone(&self.shared.tally);
        if let Some(error) = arrived.failure() {
            tally.error(error.code.as_str());
            if error.code.is_retryable() || error.code == fastchat_wire::Code::Draining {
                self.sends.refused(number);
                let wait = Duration::from_millis(error.retry_after_ms.unwrap_or(RETRY_MS));
                self.retry_at = Some(Instant::now() + wait);
            } else {
                self.refused = Some(error);
            }
            return;
        }
        let Some(seq) = arrived.glance.seq else {
            return;
        };
        if let Some(sent_ns) = self.sends.stored(number) {
            let message = Message {
                sender: self.me as u32,
                number,
            };
            self.conversation
                .record
                .borrow_mut()
                .acknowledged
                .push(Acknowledged { message, seq });
            // The connection that appended an entry is not pushed it.
            self.note(seq, Some(message));
            add(&tally.acknowledged, 1);
            tally.to_stored.record_ns(now_ns.saturating_sub(sent_ns));
        }
    }

    fn tick(&mut self, line: &mut Line) -> Result<(), Trouble> {
        self.ticks = self.ticks.wrapping_add(1);
        self.still += 1;
        self.silent += 1;
        if self.ticks.is_multiple_of(PING_TICKS) {
            queue(line, &Ping {})?;
        }
        let waits = self.sends.unanswered() > 0 || self.fetch_id.is_some();
        if waits && self.silent > SILENT_TICKS {
            return Err(Trouble::CannotConnect("the server fell silent".to_owned()));
        }
        let lags = self.conversation.known.get() > self.cursor.last();
        self.wants_fetch |= lags && self.still >= if self.cursor.has_hole() { HOLE_TICKS } else { TAIL_TICKS };
        Ok(())
    }

    fn fetch(&mut self, line: &mut Line) -> Result<(), Trouble> {
        self.wants_fetch = false;
        self.still = 0;
        if self.fetch_id.is_none() {
            let fetch = Fetch {
                log: self.conversation.record.borrow().log,
                after: self.cursor.last(),
                limit: Some(PAGE_MAX),
            };
            self.fetch_id = Some(queue(line, &fetch)?);
        }
        Ok(())
    }
}

fn queue<R: Request>(line: &mut Line, request: &R) -> Result<u64, Trouble> {
    let queued = line.queue(request, &Block::none());
    queued.map_err(|error| Trouble::Failed(error.to_string()))
}
