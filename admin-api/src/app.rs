//! What all routes and the reconciler share.
//!
//! Reads come from memory: the newest [`Fleet`] in a watch, the newest statuses
//! in [`Observed`]. Writes go through [`App::change`]: decide on a fleet, commit
//! only if that is still the newest, else decide again.

use crate::audit::Record;
use crate::denials::Denials;
use crate::desired::{Edit, Fleet};
use crate::metrics::Metrics;
use crate::observed::Observed;
use crate::problem::Problem;
use crate::store::{Change, CommitError, ControlStore, Receipt, StoreError};
use crate::tokens::TokenDigest;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often a change is decided anew before it is given up.
const ATTEMPTS_MAX: usize = 16;

/// What all routes and the reconciler share.
pub(crate) struct App {
    /// The database.
    pub(crate) store: Arc<dyn ControlStore>,
    /// What processes last said.
    pub(crate) observed: Observed,
    /// What it counts.
    pub(crate) metrics: Metrics,
    /// Where denials go.
    pub(crate) denials: Denials,
    /// The digest of the admin's token.
    pub(crate) admin_token: TokenDigest,
    /// Ends the long polls.
    pub(crate) shutdown: CancellationToken,
    fleet: watch::Sender<Arc<Fleet>>,
    commits: watch::Sender<u64>,
}

/// What a change comes to.
pub(crate) struct Decision<T> {
    /// What changes; nothing is committed where this is empty.
    pub(crate) edits: Vec<Edit>,
    /// Who asked.
    pub(crate) audit: Option<Record>,
    /// What to answer to the same request again.
    pub(crate) receipt: Option<Receipt>,
    /// What the caller wants to know of it.
    pub(crate) value: T,
}

/// Why a change was not made.
#[derive(Debug)]
pub(crate) enum ChangeError {
    /// It was refused, or can't be stored.
    Refused(Problem),
    /// The Idempotency-Key was used meanwhile.
    KeyUsed,
}

impl From<Problem> for ChangeError {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Refused(problem) => problem,
            ChangeError::KeyUsed => Self::conflict("busy", "a request with the same Idempotency-Key is under way; ask again"),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request failed at the database");
        match error {
            StoreError::Unavailable(_) => Self::unavailable("the database can't be used now; try again"),
            StoreError::Broken(_) => Self::internal(),
        }
    }
}

impl App {
    /// Reads the fleet and is ready to serve.
    pub(crate) async fn load(
        store: Arc<dyn ControlStore>,
        metrics: Metrics,
        denials: Denials,
        admin_token: TokenDigest,
        shutdown: CancellationToken,
    ) -> Result<Self, StoreError> {
        let fleet = watch::Sender::new(Arc::new(store.fleet().await?));
        Ok(Self {
            store,
            observed: Observed::new(),
            metrics,
            denials,
            admin_token,
            shutdown,
            fleet,
            commits: watch::Sender::new(0),
        })
    }

    /// The newest desired state.
    pub(crate) fn fleet(&self) -> Arc<Fleet> {
        self.fleet.borrow().clone()
    }

    /// Wakes with every new generation.
    pub(crate) fn fleets(&self) -> watch::Receiver<Arc<Fleet>> {
        self.fleet.subscribe()
    }

    /// Wakes with every commit, also those that only move operations.
    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Decides on the newest fleet and commits, again where another change came first.
    pub(crate) async fn change<T>(&self, decide: impl Fn(&Fleet) -> Result<Decision<T>, Problem>) -> Result<T, ChangeError> {
        for _ in 0..ATTEMPTS_MAX {
            let fleet = self.fleet();
            let Decision {
                edits,
                audit,
                receipt,
                value,
            } = decide(&fleet)?;
            if edits.is_empty() && receipt.is_none() {
                return Ok(value);
            }
            match self
                .commit(Change {
                    based_on: fleet.generation,
                    edits,
                    audit,
                    receipt,
                })
                .await
            {
                Ok(()) => return Ok(value),
                Err(CommitError::Stale) => self.refresh().await?,
                Err(CommitError::KeyUsed) => return Err(ChangeError::KeyUsed),
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Problem::unavailable("too many changes at once; try again").into())
    }

    /// Commits one change and publishes what came of it.
    pub(crate) async fn commit(&self, change: Change) -> Result<(), CommitError> {
        let based_on = change.based_on;
        if self.store.commit(change).await? != based_on {
            self.refresh().await?;
        }
        self.commits.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Publishes what the database has.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let read = Arc::new(self.store.fleet().await?);
        // Two commits may read in one order and publish in the other.
        self.fleet.send_if_modified(|published| {
            let newer = read.generation > published.generation;
            if newer {
                *published = read;
            }
            newer
        });
        Ok(())
    }
}
