//! A device that is online: what programs for people, and bots, are written with.
//!
//! ```text
//!   network          reader task                       profile (sealed, on disk)           your program
//!   Session ──────── entries ─────> take ───────────> history, groups, tasks ───next()───> records
//!      ^                 │                                    ^    │
//!      │ outbox          └─ what follows ─> steward task ─────┘    │
//!      └───────────────────────────────────────────────────────────┴── send(), add(), … ─< your program
//! ```
//!
//! The profile is the truth, for several processes at once: what was taken is noted once, in the order of each log,
//! and whoever waits for something looks into the profile whenever it changes. So [`Messenger::next`] and all that
//! waits is cancel-safe, nothing queues up in memory, and a crash at any line loses nothing that was acknowledged.

mod archivist;
mod claim;
mod devices;
mod enter;
mod errands;
mod files;
mod join;
mod last_batches;
mod lookups;
mod marks;
mod members;
mod people;
pub(crate) mod race;
mod reader;
pub(crate) mod renew;
mod restorer;
mod settings;
mod shared;
mod steward;
mod sweeper;
#[cfg(test)]
mod tests;
mod typing;
pub(crate) mod upkeep;
mod wishes;

pub use devices::OwnDevice;
pub use files::{SendFile, SentFile, Step};
pub use restorer::Restoring;
pub use typing::Typing;

use crate::{
    config::Config,
    fault::{self, Fault},
    ids::new_entry,
    problem::Problem,
    profile::{
        Me, Profile, compose, take,
        tasks::{self, Outcome},
        trust,
    },
    record::{Person, Record},
    session::{Ended, Session},
    waits::{Patience, Waits},
};
use fastchat_e2e::{AccountId, Content, ConversationId, EntryId, content::Body, store::Writer};
use shared::Shared;
use std::{collections::HashMap, fmt, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// How long something that was asked for may take while there is a server. Time without one does not count: that is told.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take to tell what was delivered before a program ends.
const FAREWELL: Duration = Duration::from_millis(500);
/// How soon this process looks at what another one of the profile has changed.
const FOREIGN_INTERVAL: Duration = Duration::from_millis(250);

/// How a messenger stands.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The server that it is on.
    pub server: Option<String>,
    /// Why there is none, and after how long the next try is.
    pub away: Option<(String, Duration)>,
    /// Everything that the fleet had for this device is in the profile.
    pub caught_up: bool,
    /// Over for good.
    pub ended: Option<Ended>,
}

/// A message that stands in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Which log.
    pub conversation: ConversationId,
    /// Its id.
    pub entry: EntryId,
    /// Its number.
    pub seq: u64,
    /// When, in ms since 1970, by the server's clock.
    pub at_ms: u64,
}

/// One member of a conversation, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub person: Person,
    /// May add and remove others.
    pub admin: bool,
    /// A person has compared the safety number with them.
    pub verified: bool,
    /// Another account goes by this name, too: in this conversation, or on this device.
    pub disputed: bool,
    /// Devices that read here.
    pub devices: usize,
}

/// A signed-in device with its tasks. Dropped, it ends at once; what was acknowledged or queued is kept.
pub struct Messenger {
    shared: Arc<Shared>,
    me: Me,
    waits: Waits,
    _tasks: [AbortOnDropHandle<()>; 5],
}

impl Messenger {
    /// Starts its tasks. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// `not-signed-in`; [`Problem::Store`].
    pub fn start(profile: Arc<Profile>, config: Config) -> Result<Self, Problem> {
        let me = profile.me()?.ok_or(Problem::Ended(Ended::NoToken))?;
        let waits = config.waits.clone();
        let session = Session::start(config, Arc::clone(&profile) as _, Arc::clone(&profile) as _);
        let shared = Arc::new(Shared::new(profile, session.handle()));
        let reader = tokio::spawn(reader::run(Arc::clone(&shared), session));
        let steward = tokio::spawn(steward::run(Arc::clone(&shared)));
        let archivist = tokio::spawn(archivist::run(Arc::clone(&shared)));
        let restorer = tokio::spawn(restorer::run(Arc::clone(&shared)));
        let sweeper = tokio::spawn(sweeper::run(Arc::clone(&shared)));
        Ok(Self {
            shared,
            me,
            waits,
            _tasks: [reader, steward, archivist, restorer, sweeper].map(AbortOnDropHandle::new),
        })
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &Arc<Profile> {
        &self.shared.profile
    }

    /// The own account.
    #[must_use]
    pub fn me(&self) -> AccountId {
        self.me.account
    }

    /// How it stands, now and whenever that changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    /// Whether those are online that this account has direct chats with, as the server tells it: at sign-in of each of
    /// them, and whenever one comes or goes. Empty without a server; who is not in it, the server tells nothing of.
    #[must_use]
    pub fn presence(&self) -> watch::Receiver<HashMap<AccountId, bool>> {
        self.shared.presence.subscribe()
    }

    /// Waits until everything that the fleet had for this device is in the profile. Where the fleet asks to wait, that is
    /// waited for, too, and `patience` begins anew after it.
    ///
    /// # Errors
    /// [`Problem::CannotConnect`] after `patience`; [`Problem::Ended`].
    pub async fn caught_up(&self, patience: Duration) -> Result<(), Problem> {
        let mut status = self.status();
        let mut waits = self.waits.watch();
        let patient = Patience::from(Instant::now(), patience);
        loop {
            let reason = {
                let status = status.borrow_and_update();
                if let Some(ended) = &status.ended {
                    return Err(ended.clone().into());
                }
                if status.caught_up {
                    return Ok(());
                }
                status.away.as_ref().map(|(reason, _)| reason.clone())
            };
            let end = patient.ends(*waits.borrow_and_update());
            tokio::select! {
                changed = status.changed() => changed.map_err(|_| Ended::Closed)?,
                // There is one more wait to be patient for.
                _ = waits.changed() => {}
                () = sleep_until(end) => {
                    let reason = reason.unwrap_or_else(|| match self.waits.left() {
                        Some(left) => format!("the fleet asks to wait {} s more: try again then", left.as_secs() + 1),
                        None => format!("the fleet did not answer within {} s", patience.as_secs_f32()),
                    });
                    return Err(Problem::CannotConnect(reason));
                }
            }
        }
    }

    /// Seals a message and keeps it to be sent: now, or after a restart. It is in its log at most once, whatever happens.
    ///
    /// # Errors
    /// `not-member` where this device is not in; [`Problem::Distrusted`] where somebody in it is not who this device knows;
    /// [`Problem::Store`].
    pub async fn queue(&self, conversation: ConversationId, body: Body) -> Result<EntryId, Problem> {
        let queued = self.queue_all(conversation, vec![body]).await?;
        queued
            .first()
            .copied()
            .ok_or_else(|| Problem::Usage("there is nothing to send".to_owned()))
    }

    /// The same for several, in one step and in this order.
    ///
    /// # Errors
    /// As [`Messenger::queue`]; then none of them is kept.
    pub async fn queue_all(&self, conversation: ConversationId, bodies: Vec<Body>) -> Result<Vec<EntryId>, Problem> {
        let queued = self
            .shared
            .profile
            .run(move |profile| profile.seal(conversation, bodies, |_| Ok(())))
            .await?;
        fault::point(Fault::Sealed);
        self.shared.handle.wake();
        Ok(queued)
    }

    /// Answers a record: the answer is kept and the record marked as shown in one step, so that a program that is
    /// killed in between answers once. With no body the record is only marked.
    ///
    /// # Errors
    /// As [`Messenger::queue`].
    pub async fn answer(&self, record: &Record, body: Option<Body>) -> Result<(), Problem> {
        let (conversation, arrival) = (record.conversation, record.arrival);
        self.shared
            .profile
            .run(move |profile| {
                profile.seal(conversation, body.into_iter().collect(), |tx| {
                    crate::profile::history::save_shown(tx, arrival)
                })
            })
            .await?;
        self.shared.handle.wake();
        Ok(())
    }

    /// Waits until a queued message stands in its log, or never will.
    ///
    /// # Errors
    /// Why it never will: the server's code; [`Problem::Ended`]. `timed-out` after a minute with a server: the message is
    /// kept and goes out when it can. [`Problem::Distrusted`]: it is kept and goes out once a person has accepted that.
    pub async fn sent(&self, entry: EntryId) -> Result<Sent, Problem> {
        let look = move |profile: &Profile| {
            profile.look(|groups, tx| match tasks::outcome(tx, entry)? {
                Some(outcome) => Ok(Some(outcome)),
                None => trust::check_waiting(groups, tx, entry).map(|()| None),
            })
        };
        let Some(outcome) = self.settled(PATIENCE, look).await? else {
            return Err(Problem::declined(
                "timed-out",
                "the message could not be sent so far: it is kept, and goes out with the next command that is online",
            ));
        };
        match outcome {
            Outcome::Sent { conversation, seq, at_ms } => Ok(Sent {
                conversation,
                entry,
                seq,
                at_ms,
            }),
            Outcome::Done | Outcome::Refused { .. } => Err(Problem::declined("internal", "an entry ended as a wish does")),
        }
    }

    /// Seals a message, and waits until it stands in its log.
    ///
    /// # Errors
    /// As [`Messenger::queue`] and [`Messenger::sent`].
    pub async fn send(&self, conversation: ConversationId, body: Body) -> Result<Sent, Problem> {
        let entry = self.queue(conversation, body).await?;
        self.sent(entry).await
    }

    /// What the history has of a message that stands in its log; waits until this device has read so far. None where
    /// it has disappeared since.
    ///
    /// # Errors
    /// `timed-out`: it was not read within some time with a server; [`Problem::Ended`], [`Problem::Store`].
    pub async fn kept(&self, sent: Sent) -> Result<Option<Record>, Problem> {
        let Sent { conversation, seq, .. } = sent;
        let look = move |profile: &Profile| {
            let is_read = profile.look(|groups, tx| Ok(!matches!(groups.cursor(tx, conversation), Ok(cursor) if cursor < seq)))?;
            Ok(if is_read {
                Some(profile.record_at(conversation, seq)?)
            } else {
                None
            })
        };
        let kept = self.until(Some(PATIENCE), look).await?;
        kept.ok_or_else(|| Problem::declined("timed-out", "the message was sent; what stands before it could not be read so far"))
    }

    /// The next record after this arrival, from any conversation; waits for it. Cancel-safe.
    ///
    /// # Errors
    /// [`Problem::Ended`]; [`Problem::Store`].
    pub async fn next(&self, after: u64) -> Result<Record, Problem> {
        let found = self.until(None, move |profile| Ok(profile.arrived_after(after, 1)?.pop())).await?;
        found.ok_or(Problem::Ended(Ended::Closed))
    }

    /// Ends it: the session and the tasks. What waits for the account's archive is sealed, and sent where that is
    /// quickly done; what was delivered is told likewise.
    pub async fn close(self) {
        if let Err(problem) = archivist::finish(&self.shared).await {
            tracing::warn!(%problem, "the rest is archived at the next start");
        }
        let _ = timeout(FAREWELL, self.shared.handle.tell_delivered()).await;
        self.shared.handle.close();
        let mut status = self.status();
        // Its tasks end with the session.
        let _ = status.wait_for(|status| status.ended.is_some()).await;
    }

    /// Waits until something is settled; none where that takes too long.
    async fn outcome(&self, id: EntryId) -> Result<Option<Outcome>, Problem> {
        self.outcome_within(id, PATIENCE).await
    }

    /// The same within another time.
    async fn outcome_within(&self, id: EntryId, patience: Duration) -> Result<Option<Outcome>, Problem> {
        self.settled(patience, move |profile| profile.read(|tx| tasks::outcome(tx, id)))
            .await
    }

    async fn settled(
        &self,
        patience: Duration,
        look: impl Fn(&Profile) -> Result<Option<Outcome>, Problem> + Clone + Send + 'static,
    ) -> Result<Option<Outcome>, Problem> {
        match self.until(Some(patience), look).await? {
            Some(Outcome::Refused { code, message }) => Err(Problem::declined(code, message)),
            outcome => Ok(outcome),
        }
    }

    /// Looks until something is found, whenever the profile has changed, by this process or another one. None where
    /// nothing was within so much time with a server.
    ///
    /// # Errors
    /// What `look` says; [`Problem::Ended`]: nothing will change any more.
    async fn until<T: Send + 'static>(
        &self,
        mut patience: Option<Duration>,
        look: impl Fn(&Profile) -> Result<Option<T>, Problem> + Clone + Send + 'static,
    ) -> Result<Option<T>, Problem> {
        let mut changes = self.shared.profile.changes();
        let mut status = self.status();
        loop {
            changes.borrow_and_update();
            let ended = status.borrow_and_update().ended.clone();
            let look = look.clone();
            let looked = self
                .shared
                .profile
                .run(move |profile| Ok((profile.foreign_changes()?, look(profile)?)));
            let (seen, found) = looked.await?;
            match (found, ended) {
                (Some(found), _) => return Ok(Some(found)),
                (None, Some(ended)) => return Err(ended.into()),
                (None, None) if patience == Some(Duration::ZERO) => return Ok(None),
                (None, None) => {}
            }
            loop {
                let since = Instant::now();
                let is_on = status.borrow().server.is_some();
                let changed = tokio::select! {
                    _ = changes.changed() => true,
                    _ = status.changed() => true,
                    () = sleep(FOREIGN_INTERVAL) => false,
                };
                if let (Some(left), true) = (&mut patience, is_on) {
                    *left = left.saturating_sub(since.elapsed());
                }
                let is_over = patience == Some(Duration::ZERO);
                if changed || is_over || self.shared.profile.run(|profile| Ok(profile.foreign_changes()?)).await? != seen {
                    break;
                }
            }
        }
    }
}

impl Profile {
    /// Seals messages in this order into the outbox, and does what belongs to that in the same step.
    pub(crate) fn seal(
        &self,
        conversation: ConversationId,
        bodies: Vec<Body>,
        and: impl FnOnce(&Writer<'_>) -> Result<(), Problem>,
    ) -> Result<Vec<EntryId>, Problem> {
        self.change(|groups, tx| {
            if !bodies.is_empty() {
                trust::check(tx, conversation)?;
                // Who is online for moments only is not there when it is due.
                take::tell_owed_name(groups, tx, conversation)?;
            }
            let mut queued = Vec::with_capacity(bodies.len());
            for body in bodies {
                let body = compose(groups, tx, conversation, body)?;
                let content = Content {
                    id: new_entry(),
                    at_ms: crate::clock::now_ms(),
                    body,
                };
                groups.seal(tx, conversation, &content)?;
                queued.push(content.id);
            }
            and(tx)?;
            Ok(queued)
        })
    }
}

impl fmt::Debug for Messenger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messenger").field("me", &self.me).finish_non_exhaustive()
    }
}
