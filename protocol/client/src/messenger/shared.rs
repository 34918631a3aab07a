//! What a messenger's tasks share.

use super::{Status, errands::Errands};
use crate::{Connection, problem::Problem, profile::Profile, session::Handle};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

pub(super) struct Shared {
    pub(super) profile: Arc<Profile>,
    pub(super) handle: Handle,
    pub(super) status: watch::Sender<Status>,
    errands: Mutex<Queue>,
    pub(super) nudged: Notify,
}

#[derive(Default)]
struct Queue {
    errands: Errands,
    /// The steward is at it.
    busy: bool,
    /// The session has handed out everything that it knows of.
    session_caught_up: bool,
}

impl Shared {
    pub(super) fn new(profile: Arc<Profile>, handle: Handle) -> Self {
        Self {
            profile,
            handle,
            status: watch::Sender::new(Status::default()),
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

    /// Takes what is due; the steward is busy from then on.
    pub(super) fn take_errands(&self) -> Option<Errands> {
        let mut queue = self.queue();
        let now = tokio::time::Instant::now();
        if !queue.errands.is_due(now) {
            return None;
        }
        queue.busy = true;
        Some(queue.errands.take(now))
    }

    /// The steward is done; what it could not do waits again.
    pub(super) fn done(&self, undone: Errands) {
        {
            let mut queue = self.queue();
            queue.errands.put_back(undone);
            queue.busy = false;
        }
        self.refresh();
    }

    /// When the next errand is due.
    pub(super) fn next_due(&self) -> Option<tokio::time::Instant> {
        self.queue().errands.next_due()
    }

    /// The session has handed out everything, or begins anew.
    pub(super) fn session_caught_up(&self, caught_up: bool) {
        self.queue().session_caught_up = caught_up;
        self.refresh();
    }

    /// Changes the status.
    pub(super) fn tell(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(change);
    }

    fn refresh(&self) {
        let caught_up = {
            let queue = self.queue();
            queue.session_caught_up && !queue.busy && queue.errands.is_caught_up()
        };
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
