//! A device that is online for the length of a command, watched: losing the server and coming back is said on stderr.

use crate::{
    context::Context,
    terminal::{presence::Presence, screen::Screen},
    waiting::seconds,
};
use fastchat_client::{
    Ended,
    messenger::{Messenger, Status},
    problem::Problem,
    profile::Profile,
};
use std::{future::Future, pin::pin, sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

/// How long a command that needs the fleet waits for it, beside what the fleet asks it to wait.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a command that would like to be up to date waits for the fleet.
const BRIEF_PATIENCE: Duration = Duration::from_secs(3);
/// How long the messenger may take to end.
const CLOSE: Duration = Duration::from_secs(2);

/// A device that is online.
#[derive(Debug)]
pub(crate) struct Online<'a> {
    /// What acts.
    pub(crate) messenger: Messenger,
    /// What looks on.
    pub(crate) watch: Watch<'a>,
}

/// Looks on while the messenger works.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    context: &'a Context<'a>,
    profile: Arc<Profile>,
    status: watch::Receiver<Status>,
    presence: Presence,
    balancer_kept: bool,
}

impl<'a> Online<'a> {
    /// Watches a messenger.
    pub(crate) fn new(context: &'a Context<'a>, messenger: Messenger) -> Self {
        let watch = Watch {
            context,
            profile: Arc::clone(messenger.profile()),
            status: messenger.status(),
            presence: Presence::default(),
            balancer_kept: false,
        };
        Self { messenger, watch }
    }

    /// The profile.
    pub(crate) fn profile(&self) -> &Arc<Profile> {
        &self.watch.profile
    }

    /// Waits until everything that the fleet had for this device is taken.
    pub(crate) async fn ready(&mut self) -> Result<(), Problem> {
        self.watch.during(self.messenger.caught_up(PATIENCE)).await
    }

    /// The same, for a command that can do without: a note says where it is not up to date.
    pub(crate) async fn refresh(&mut self) {
        let caught_up = timeout(BRIEF_PATIENCE, self.messenger.caught_up(BRIEF_PATIENCE)).await;
        self.watch.keep_balancer();
        let why = match caught_up {
            Ok(Ok(())) => return,
            Ok(Err(problem)) => problem.to_string(),
            Err(_) => match self.watch.context.waits().left() {
                Some(left) => format!("the fleet asks to wait {}", seconds(left)),
                None => format!("the fleet took more than {} s", BRIEF_PATIENCE.as_secs()),
            },
        };
        self.watch.screen().note(&format!("this may not be up to date: {why}"));
    }

    /// Ends it in good order.
    pub(crate) async fn close(self) {
        if timeout(CLOSE, self.messenger.close()).await.is_err() {
            tracing::debug!("the messenger did not end in time");
        }
    }
}

impl<'a> Watch<'a> {
    /// Waits for `work`, and says meanwhile where the server is lost and found.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.look();
                    return done;
                }
                ended = self.changed() => if ended.is_some() {
                    // What was worked for says itself what that means for it.
                    return work.await;
                },
            }
        }
    }

    /// Waits for a change of the status, says it on stderr, and gives why the session is over for good, where it is.
    /// Cancel-safe. Never ends again once the messenger is gone.
    pub(crate) async fn changed(&mut self) -> Option<Ended> {
        if self.status.changed().await.is_err() {
            return std::future::pending().await;
        }
        self.look()
    }

    /// Says what is new on stderr, and gives why the session is over for good, where it is.
    pub(crate) fn look(&mut self) -> Option<Ended> {
        let status = self.status.borrow_and_update().clone();
        if let Some(note) = self.presence.on(&status) {
            self.screen().note(&note);
        }
        self.keep_balancer();
        status.ended
    }

    /// Where notes go.
    pub(crate) fn screen(&self) -> &'a Screen {
        self.context.screen
    }

    fn keep_balancer(&mut self) {
        if !self.balancer_kept && self.status.borrow().server.is_some() {
            self.balancer_kept = true;
            self.context.keep_balancer(&self.profile);
        }
    }
}
