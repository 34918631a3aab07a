//! What a messenger's tasks share.

use super::{
    Status,
    errands::Errands,
    typing::{SIGNALS_MAX, Typing},
};
use crate::{Connection, chat::Listing, ids::Seal, problem::Problem, profile::Profile, session::Handle};
use fastchat_e2e::{AccountId, ConversationId};
use fastchat_wire::LogId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, broadcast, watch},
    time::Instant,
};

/// Before what could not be done is tried again; doubled with each setback.
const PAUSE: Duration = Duration::from_millis(500);
/// Its longest, as a power of two.
const DOUBLINGS_MAX: u32 = 6;
/// After so many setbacks in a row nobody waits for what meets them.
const SETBACKS_MAX: u32 = 3;

pub(super) struct Shared {
    pub(super) profile: Arc<Profile>,
    pub(super) handle: Handle,
    pub(super) status: watch::Sender<Status>,
    /// Who is there, as the server told; nothing without a server.
    pub(super) presence: watch::Sender<HashMap<AccountId, bool>>,
    /// Who is typing, for those who want to know.
    pub(super) typing: broadcast::Sender<Typing>,
    /// By the last list: from where this account may read a log, where that is not its beginning.
    readable_from: Mutex<HashMap<LogId, u64>>,
    /// By the last list: the conversations that were founded.
    founded: Mutex<Vec<ConversationId>>,
    errands: Mutex<Queue>,
    pub(super) nudged: Notify,
}

#[derive(Default)]
struct Queue {
    errands: Errands,
    /// What could not be done, until it is tried again.
    held: Errands,
    held_until: Option<Instant>,
    /// Rounds in a row that could not do all.
    setbacks: u32,
    /// The steward is at it.
    busy: bool,
    /// The session has handed out everything that it knows of.
    session_caught_up: bool,
}

impl Queue {
    /// What is due; the steward is busy from then on.
    fn take(&mut self, now: Instant) -> Option<Errands> {
        if self.held_until.is_some_and(|until| until <= now) {
            self.release();
        }
        if !self.errands.is_due(now) {
            return None;
        }
        self.busy = true;
        Some(self.errands.take(now))
    }

    /// The steward is done. What it could not do is held back for a while, longer each time; what is asked for meanwhile is not.
    fn done(&mut self, undone: Errands, now: Instant) {
        self.busy = false;
        if !undone.is_empty() {
            self.held.put_back(undone);
            self.held_until = Some(now + PAUSE * (1 << self.setbacks.min(DOUBLINGS_MAX)));
            self.setbacks = self.setbacks.saturating_add(1);
        } else if self.held.is_empty() {
            self.setbacks = 0;
        }
    }

    fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.held_until = None;
        self.errands.put_back(held);
    }

    /// What fails again and again is not waited for: the rest can be read.
    fn is_caught_up(&self) -> bool {
        let held = self.setbacks > SETBACKS_MAX || self.held.is_caught_up();
        self.session_caught_up && !self.busy && self.errands.is_caught_up() && held
    }
}

impl Shared {
    pub(super) fn new(profile: Arc<Profile>, handle: Handle) -> Self {
        Self {
            profile,
            handle,
            status: watch::Sender::new(Status::default()),
            presence: watch::Sender::new(HashMap::new()),
            typing: broadcast::Sender::new(SIGNALS_MAX),
            readable_from: Mutex::default(),
            founded: Mutex::default(),
            errands: Mutex::default(),
            nudged: Notify::new(),
        }
    }

    /// Asks the steward for something.
    pub(super) fn ask(&self, change: impl FnOnce(&mut Errands)) {
        change(&mut self.queue().errands);
        self.refresh();
        self.nudged.notify_one();
    }

    /// Looks at the wishes; for the steward itself.
    pub(super) fn queue_wishes(&self) {
        self.queue().errands.wishes = true;
    }

    /// Takes what is due; the steward is busy from then on.
    pub(super) fn take_errands(&self) -> Option<Errands> {
        self.queue().take(Instant::now())
    }

    /// The steward is done; what it could not do waits for a while.
    pub(super) fn done(&self, undone: Errands) {
        self.queue().done(undone, Instant::now());
        self.refresh();
    }

    /// What waits is tried at once: there is another server now.
    pub(super) fn try_again(&self) {
        {
            let mut queue = self.queue();
            queue.release();
            queue.setbacks = 0;
        }
        self.nudged.notify_one();
    }

    /// When the next errand is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let queue = self.queue();
        queue.errands.next_due().into_iter().chain(queue.held_until).min()
    }

    /// The session has handed out everything, or begins anew.
    pub(super) fn session_caught_up(&self, caught_up: bool) {
        self.queue().session_caught_up = caught_up;
        self.refresh();
    }

    /// Keeps from where logs can be read.
    pub(super) fn listed(&self, listing: &Listing) {
        let from = listing.conversations.iter().filter(|found| found.from_seq > 1);
        let from = from.map(|found| (found.conversation, found.from_seq)).collect();
        *self.readable_from.lock().unwrap_or_else(PoisonError::into_inner) = from;
        let founded = listing.conversations.iter().filter(|found| found.epoch > 0);
        let founded = founded.map(|found| found.conversation.sealed()).collect();
        *self.founded.lock().unwrap_or_else(PoisonError::into_inner) = founded;
    }

    /// The conversations of the last list that were founded.
    pub(super) fn founded(&self) -> Vec<ConversationId> {
        self.founded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From where this account may read a log: what comes before is from when it was not in.
    pub(super) fn readable_from(&self, log: LogId) -> u64 {
        let from = self.readable_from.lock().unwrap_or_else(PoisonError::into_inner);
        from.get(&log).copied().unwrap_or(1)
    }

    /// Changes the status.
    pub(super) fn tell(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(change);
    }

    fn refresh(&self) {
        let caught_up = self.queue().is_caught_up();
        self.status
            .send_if_modified(|status| std::mem::replace(&mut status.caught_up, caught_up) != caught_up);
    }

    /// The connection to the present server; waits until there is one.
    pub(super) async fn connection(&self) -> Result<Connection, Problem> {
        match self.handle.connection().await {
            Ok(connection) => Ok(connection),
            Err(failure) => Err(match self.status.borrow().ended.clone() {
                Some(ended) => ended.into(),
                None => failure.into(),
            }),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.errands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAMAGED: ConversationId = ConversationId([1; 16]);

    fn behind() -> Errands {
        Errands {
            behind: [DAMAGED].into(),
            ..Errands::default()
        }
    }

    #[test]
    fn what_fails_waits_longer_each_time_and_keeps_nothing_else_waiting() {
        let mut queue = Queue::default();
        let mut now = Instant::now();
        queue.errands = behind();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let taken = queue.take(now).unwrap();
            queue.done(taken, now);
            assert!(queue.take(now).is_none(), "held back");
            queue.errands.wishes = true;
            let other = queue.take(now).unwrap();
            assert!(other.wishes && other.behind.is_empty());
            queue.done(Errands::default(), now);
            let until = queue.held_until.unwrap();
            pauses.push((until - now).as_millis());
            now = until;
        }
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 32_000, 32_000]);
    }

    #[test]
    fn what_fails_again_and_again_is_not_waited_for_and_success_forgets_it() {
        let mut queue = Queue {
            session_caught_up: true,
            errands: behind(),
            ..Queue::default()
        };
        let mut caught_up = Vec::new();
        for _ in 0..5 {
            let now = queue.held_until.unwrap_or_else(Instant::now);
            let taken = queue.take(now).unwrap();
            assert!(!queue.is_caught_up());
            queue.done(taken, now);
            caught_up.push(queue.is_caught_up());
        }
        assert_eq!(caught_up, [false, false, false, true, true]);
        let now = queue.held_until.unwrap();
        queue.take(now).unwrap();
        queue.done(Errands::default(), now);
        assert!(queue.is_caught_up());
        assert_eq!(queue.setbacks, 0);
    }
}
