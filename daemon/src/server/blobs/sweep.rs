//! One server at a time removes the blobs that are due: a turn in the store that
//! ends by itself, so that a server that died holds it for a minute at most.
//! Two that both think that it is theirs do no harm: each removal is decided by
//! the store, and removing twice is removing once.

use super::{
    Objects,
    measures::{BlobMeasures, FAILED},
};
use crate::store::{
    Store, StoreError,
    blobs::ObjectKey,
    sweep::{Removal, Turn},
};
use fastchat_wire::{BlobId, control::BlobPolicy};
use std::{io, sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};

/// Removes what is due.
pub(crate) struct Sweeper {
    pub(crate) server: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) objects: Objects,
    pub(crate) policy: watch::Receiver<BlobPolicy>,
    pub(crate) measures: BlobMeasures,
    /// ms since the Unix epoch.
    pub(crate) clock: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All that was due is removed.
    Done,
    /// It is another server's turn.
    Another,
    /// A backup is being made.
    Paused,
    /// The folder is not known to hold this store's blobs: rows and objects were not compared.
    Foreign,
}

impl Outcome {
    pub(super) const ALL: [Self; 4] = [Self::Done, Self::Another, Self::Paused, Self::Foreign];

    /// A metric's label.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Another => "another",
            Self::Paused => "paused",
            Self::Foreign => "foreign",
        }
    }
}

/// Why a sweep was broken off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the blobs' folder can't be used: {0}")]
    Folder(#[from] io::Error),
    #[error("the blobs' folder can't be used: {0}")]
    Objects(#[from] object_store::Error),
}

/// A server's turn lasts so long, unless it asks again.
pub(super) const TURN_MS: u64 = 60_000;
/// Blobs that are looked at together.
pub(super) const BATCH: u32 = 64;
/// Between two batches, so that a sweep leaves the disk to the people.
pub(super) const PACE: Duration = Duration::from_millis(20);
/// No policy makes it look more often.
const SWEEP_MIN: Duration = Duration::from_millis(100);

impl Sweeper {
    /// Looks again and again until it is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            let policy = *self.policy.borrow_and_update();
            let most = Duration::from_millis(policy.sweep_ms).max(SWEEP_MIN);
            // Servers that started together look at different times.
            tokio::select! {
                () = sleep(most.mul_f64(rand::random_range(0.5..=1.0))) => {}
                changed = self.policy.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            }
            let label = match self.round().await {
                Ok(outcome) => outcome.as_str(),
                Err(error) => {
                    tracing::warn!(%error, "the sweep of blobs was broken off: it is tried again");
                    FAILED
                }
            };
            self.measures.sweeps.with_label_values(&[label]).inc();
        }
    }

    /// Looks once.
    pub(crate) async fn round(&self) -> Result<Outcome, SweepError> {
        let walked_at = match self.turn().await? {
            Turn::Ours { walked_at } => walked_at,
            Turn::Another => return Ok(Outcome::Another),
            Turn::Paused => return Ok(Outcome::Paused),
        };
        let now = (self.clock)();
        let policy = *self.policy.borrow();
        let mut ended = self.due(Removal::Unfinished, now.saturating_sub(policy.upload_ms)).await?;
        if ended.is_none() && policy.retention_ms > 0 {
            ended = self.due(Removal::Aged, now.saturating_sub(policy.retention_ms)).await?;
        }
        let walks = ended.is_none() && now >= walked_at.saturating_add(policy.walk_ms);
        if walks {
            ended = self.walk(&policy).await?;
        }
        let walked = walks && ended.is_none();
        self.store.sweep().sweep_done(&self.server, walked.then_some(now)).await?;
        Ok(ended.unwrap_or(Outcome::Done))
    }

    /// Asks for the turn, again.
    async fn turn(&self) -> Result<Turn, StoreError> {
        let now = (self.clock)();
        self.store.sweep().sweep_turn(&self.server, now, now.saturating_add(TURN_MS)).await
    }

    /// After a batch: none where it goes on.
    pub(super) async fn goes_on(&self) -> Result<Option<Outcome>, SweepError> {
        sleep(PACE).await;
        Ok(match self.turn().await? {
            Turn::Ours { .. } => None,
            Turn::Another => Some(Outcome::Another),
            Turn::Paused => Some(Outcome::Paused),
        })
    }

    /// Removes all that has not moved after `before`.
    async fn due(&self, why: Removal, before: u64) -> Result<Option<Outcome>, SweepError> {
        loop {
            let due = self.store.sweep().blobs_due(why == Removal::Aged, before, BATCH).await?;
            let mut removed = 0;
            for blob in &due {
                removed += usize::from(self.remove(*blob, why, before).await?);
            }
            if due.is_empty() {
                return Ok(None);
            }
            let ended = self.goes_on().await?;
            // What could not be removed now is found again by the next sweep.
            if ended.is_some() || removed == 0 {
                return Ok(ended);
            }
        }
    }

    /// Removes a blob, if its reason still holds: first its row, then its objects.
    pub(super) async fn remove(&self, blob: BlobId, why: Removal, before: u64) -> Result<bool, SweepError> {
        let Some(key) = self.store.sweep().blob_remove(blob, why, before, (self.clock)()).await? else {
            return Ok(false);
        };
        self.measures.removed.with_label_values(&[why.as_str()]).inc();
        tracing::info!(%key, reason = why.as_str(), "removed a blob");
        self.remove_objects(key).await?;
        Ok(true)
    }

    /// Removes the objects of a key that no blob has.
    pub(super) async fn remove_objects(&self, key: ObjectKey) -> Result<(), SweepError> {
        Ok(self.objects.remove(key).await?)
    }
}
