//! One member at its connection: sends what it is to send, takes what arrives.

use super::{Conversation, Flow, tracker::Took};
use crate::{
    clock::Clock,
    line::{Arrived, Line, Pool},
    mould::{FIRST_ID, Mould},
    stamp::Stamp,
    tally::{Tally, add},
    trouble::Trouble,
};
use fastchat_wire::{
    Block, ErrorBody, Request,
    chat::{
        fetch::{Fetch, Fetched},
        ping::Ping,
    },
    limits::PAGE_MAX,
};
use std::{cell::Cell, future::pending, pin::pin, rc::Rc, time::Duration};
use tokio::time::{Instant, sleep};

/// A member looks after itself this often.
const TICK: Duration = Duration::from_secs(1);
/// A connection that is silent for 60 s is closed by the server: every so many ticks a ping.
const PING_TICKS: u32 = 25;
/// Bytes that wait to be written; beyond, new messages wait.
const OUT_BYTES_MAX: usize = 256 << 10;
/// Where a refusal does not say when to try again.
const RETRY_MS: u64 = 100;

/// What the members of all conversations share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) pool: Rc<Pool>,
    pub(super) tally: Rc<Tally>,
    /// Messages of one sender in flight; `None` in the open loop.
    pub(super) window: Option<u64>,
    /// New messages are sent.
    pub(super) sending: Cell<bool>,
}

/// One member.
pub(super) struct Seat {
    shared: Rc<Shared>,
    conversation: Rc<Conversation>,
    member: usize,
    /// Set where this member sends.
    mould: Option<Mould>,
    /// A fetch is needed, or which request it is.
    wants_fetch: bool,
    fetch_id: Option<u64>,
    /// Refused messages wait until then.
    retry_at: Option<Instant>,
    /// A refusal that no later try will not meet.
    refused: Option<ErrorBody>,
    ticks: u32,
    /// Entries taken at the last tick.
    taken: u64,
    last_taken: u64,
}

impl Seat {
    /// A member; with a mould it sends.
    pub(super) fn new(shared: Rc<Shared>, conversation: Rc<Conversation>, member: usize, mould: Option<Mould>) -> Self {
        Self {
            shared,
            conversation,
            member,
            mould,
            wants_fetch: false,
            fetch_id: None,
            retry_at: None,
            refused: None,
            ticks: 0,
            taken: 0,
            last_taken: 0,
        }
    }

    /// Serves the connection until it ends.
    pub(super) async fn run(mut self, mut line: Line) -> Result<(), Trouble> {
        let shared = Rc::clone(&self.shared);
        let conversation = Rc::clone(&self.conversation);
        let flow = conversation.flows.get(self.member);
        let woken = async || match flow {
            Some(flow) => flow.wake.notified().await,
            None => pending().await,
        };
        let mut tick = pin!(sleep(TICK));
        loop {
            if let Some(flow) = flow {
                self.fill(flow, &mut line);
            }
            let mut now_ns = None;
            let take = |arrived: &Arrived<'_>| {
                let now_ns = *now_ns.get_or_insert_with(|| shared.clock.now_ns());
                self.take(arrived, now_ns);
            };
            tokio::select! {
                biased;
                turned = line.turn(&shared.pool, take) => turned?,
                () = woken() => {}
                () = &mut tick => {
                    let next = self.tick(&mut line)?;
                    tick.as_mut().reset(next);
                }
            }
            if let Some(error) = self.refused.take() {
                return Err(Trouble::Refused(error));
            }
            if self.wants_fetch {
                self.fetch(&mut line)?;
            }
            if let Some(retry_at) = self.retry_at {
                tick.as_mut().reset(retry_at);
            }
        }
    }

    /// Queues what is to be sent now.
    fn fill(&mut self, flow: &Flow, line: &mut Line) {
        let Some(mould) = &self.mould else {
            return;
        };
        let run = self.conversation.run;
        let sender = self.member as u32;
        let stamp = |number, sent_ns| Stamp {
            number,
            sent_ns,
            run,
            sender,
        };
        let mut sends = flow.sends.borrow_mut();
        if sends.is_held_up() {
            if self.retry_at.is_none_or(|at| at <= Instant::now()) {
                self.retry_at = None;
                for sent in sends.again() {
                    mould.cast(&stamp(sent.number, sent.sent_ns), &mut line.out);
                }
            }
            return;
        }
        self.retry_at = None;
        if !self.shared.sending.get() {
            return;
        }
        let mut sent = 0;
        let now_ns = self.shared.clock.now_ns();
        if let Some(window) = self.shared.window {
            drop(sends);
            let room = window.saturating_sub(self.conversation.in_flight(flow));
            sends = flow.sends.borrow_mut();
            while sent < room && line.out.len() < OUT_BYTES_MAX {
                mould.cast(&stamp(sends.push(now_ns), now_ns), &mut line.out);
                sent += 1;
            }
        } else {
            let mut due = flow.due.borrow_mut();
            while line.out.len() < OUT_BYTES_MAX
                && let Some(due_ns) = due.pop_front()
            {
                mould.cast(&stamp(sends.push(due_ns), due_ns), &mut line.out);
                sent += 1;
            }
        }
        add(&self.shared.tally.sent, sent);
    }

    fn take(&mut self, arrived: &Arrived<'_>, now_ns: u64) {
        match (arrived.glance.event, arrived.glance.re) {
            (Some(b"entry"), _) => self.take_entry(arrived, now_ns),
            (Some(b"behind"), _) => self.wants_fetch = true,
            (None, Some(re)) if re >= FIRST_ID => self.take_answer(re - FIRST_ID, arrived, now_ns),
            (None, re) if re.is_some() && re == self.fetch_id => {
                self.fetch_id = None;
                // A page that can't be read is asked for again.
                let fetched = serde_json::from_slice(arrived.header);
                let more = fetched.is_ok_and(|fetched: Fetched| fetched.more) || arrived.glance.failed;
                self.wants_fetch = self.conversation.trackers[self.member].borrow_mut().end_page(more);
            }
            _ => {}
        }
    }

    fn take_entry(&mut self, arrived: &Arrived<'_>, now_ns: u64) {
        let Some(seq) = arrived.glance.seq else {
            return;
        };
        if arrived.glance.log != Some(self.conversation.log_text.as_bytes()) {
            return;
        }
        let was_fetched = arrived.glance.re.is_some();
        let mut tracker = self.conversation.trackers[self.member].borrow_mut();
        let stamp = Stamp::read(arrived.block).filter(|stamp| stamp.run == self.conversation.run);
        let Some((stamp, sender)) = stamp.map(|stamp| (stamp, stamp.sender as usize)).filter(|(_, s)| *s != self.member) else {
            if was_fetched {
                tracker.passed(seq);
            }
            return;
        };
        let took = if was_fetched {
            tracker.fetched(seq, sender, stamp.number)
        } else {
            tracker.pushed(seq, sender, stamp.number)
        };
        match took {
            Took::Nothing => {}
            Took::Hole => self.wants_fetch = true,
            Took::Delivered => {
                self.taken += 1;
                let tally = &self.shared.tally;
                add(&tally.delivered, 1);
                add(&tally.fetched, u64::from(was_fetched));
                tally.to_deliver.record_ns(now_ns.saturating_sub(stamp.sent_ns));
                let flow = &self.conversation.flows[sender];
                add(&flow.delivered, 1);
                if flow.delivered.get().is_multiple_of(self.conversation.receivers()) {
                    flow.wake.notify_one();
                }
            }
        }
    }

    fn take_answer(&mut self, number: u64, arrived: &Arrived<'_>, now_ns: u64) {
        let flow = &self.conversation.flows[self.member];
        let tally = &self.shared.tally;
        if !arrived.glance.failed {
            if let Some(sent_ns) = flow.sends.borrow_mut().stored(number) {
                add(&tally.acknowledged, 1);
                add(&flow.stored, 1);
                tally.to_stored.record_ns(now_ns.saturating_sub(sent_ns));
            }
            return;
        }
        let Some(error) = arrived.failure() else {
            return;
        };
        tally.error(error.code.as_str());
        if error.code.is_retryable() {
            flow.sends.borrow_mut().refused(number);
            let wait = Duration::from_millis(error.retry_after_ms.unwrap_or(RETRY_MS));
            self.retry_at = Some(Instant::now() + wait);
        } else {
            self.refused = Some(error);
        }
    }

    /// Looks after itself; when to do so again.
    fn tick(&mut self, line: &mut Line) -> Result<Instant, Trouble> {
        self.ticks += 1;
        if self.ticks.is_multiple_of(PING_TICKS) {
            queue(line, &Ping {})?;
        }
        // Nothing came for a second, and more is stored than came: the last pushes were lost.
        let tracker = self.conversation.trackers[self.member].borrow();
        let flows = self.conversation.flows.iter().enumerate();
        let lags = flows
            .filter(|(sender, _)| *sender != self.member)
            .any(|(sender, flow)| flow.stored.get() > tracker.received(sender));
        self.wants_fetch |= lags && self.taken == self.last_taken && self.fetch_id.is_none();
        self.last_taken = self.taken;
        Ok(Instant::now() + TICK)
    }

    fn fetch(&mut self, line: &mut Line) -> Result<(), Trouble> {
        self.wants_fetch = false;
        let mut tracker = self.conversation.trackers[self.member].borrow_mut();
        tracker.begin_fetch();
        if self.fetch_id.is_none() {
            let fetch = Fetch {
                log: self.conversation.log,
                after: tracker.last_seq(),
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
