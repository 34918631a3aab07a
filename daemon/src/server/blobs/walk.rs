//! Rows whose objects are gone, and objects that no row names.
//!
//! A row that misses bytes is told at once, and removed when it has missed them
//! for as long as an upload may take: an operator who forgot to mount a disk, or
//! puts a folder back from a backup, has that time.

use super::{
    Objects,
    sweep::{BATCH, Outcome, SweepError, Sweeper},
};
use crate::store::{
    blobs::Chunk,
    sweep::{Removal, Standing},
};
use fastchat_wire::control::BlobPolicy;

impl Sweeper {
    /// Compares all rows with their objects, and all objects with the rows.
    pub(super) async fn walk(&self, policy: &BlobPolicy) -> Result<Option<Outcome>, SweepError> {
        if !self.is_ours().await? {
            tracing::error!(
                "the blobs' folder does not hold this store's blobs, so nothing is compared: is its disk mounted, and is it this fleet's?"
            );
            return Ok(Some(Outcome::Foreign));
        }
        let ended = self.walk_rows(policy).await?;
        if ended.is_some() {
            return Ok(ended);
        }
        self.walk_objects().await
    }

    /// Whether the folder is known to hold this store's blobs. A folder that says nothing becomes ours where the
    /// store has no whole blob, or where one of its blobs is there.
    async fn is_ours(&self) -> Result<bool, SweepError> {
        let id = self.store.store_id().await?;
        // A restore changes what stands behind the dot.
        let id = id.split('.').next().unwrap_or_default();
        if let Some(owner) = self.objects.owner().await? {
            return Ok(owner == id);
        }
        let sample: Vec<Standing> = self.store.sweep().blobs_after(None, BATCH).await?;
        let mut is_ours = true;
        for row in sample.iter().filter(|row| row.complete) {
            is_ours = !self.objects.found(row.key).await?.is_empty();
            if is_ours {
                break;
            }
        }
        if is_ours {
            self.objects.own(id).await?;
        }
        Ok(is_ours)
    }

    async fn walk_rows(&self, policy: &BlobPolicy) -> Result<Option<Outcome>, SweepError> {
        let mut lost = 0;
        let mut after = None;
        loop {
            let rows = self.store.sweep().blobs_after(after, BATCH).await?;
            for row in &rows {
                lost += i64::from(self.look_at(row, policy).await?);
            }
            after = rows.last().map(|row| row.blob);
            if after.is_none() {
                self.measures.lost.set(lost);
                return Ok(None);
            }
            let ended = self.goes_on().await?;
            if ended.is_some() {
                return Ok(ended);
            }
        }
    }

    /// True where bytes of it are missing.
    async fn look_at(&self, row: &Standing, policy: &BlobPolicy) -> Result<bool, SweepError> {
        let now = (self.clock)();
        if !row.readable && self.remove(row.blob, Removal::Unreadable, now).await? {
            return Ok(false);
        }
        // First the rows: a chunk that comes in between has a file and no row, which is no loss.
        let chunks = self.store.blob_chunks(row.blob, 0, u64::MAX).await?;
        let found = self.objects.found(row.key).await?;
        let is_there = |chunk: &Chunk| found.iter().any(|found| found.chunk == Some(*chunk));
        let is_lost = !chunks.iter().all(is_there);
        match (is_lost, row.lost_at) {
            (false, None) => {}
            (false, Some(_)) => self.store.sweep().blob_lost(row.key, None).await?,
            (true, None) => {
                tracing::error!(key = %row.key, "bytes of a blob are missing: put its folder back from a backup");
                self.store.sweep().blob_lost(row.key, Some(now)).await?;
            }
            (true, Some(_)) => {
                let before = now.saturating_sub(policy.upload_ms);
                self.remove(row.blob, Removal::Lost, before).await?;
            }
        }
        if row.complete && !is_lost {
            // It takes no further chunk: what no row names is what a crash, or another cut, has left.
            for left in found
                .iter()
                .filter(|found| found.chunk.is_none_or(|chunk| !chunks.contains(&chunk)))
            {
                self.objects.remove_file(row.key, &left.name).await?;
            }
        }
        Ok(is_lost)
    }

    async fn walk_objects(&self) -> Result<Option<Outcome>, SweepError> {
        let mut all = self.objects.all_keys().await?;
        loop {
            let (rest, keys) = Objects::next_keys(all, BATCH as usize).await?;
            all = rest;
            if keys.is_empty() {
                return Ok(None);
            }
            // Asked after the objects were seen: a blob's row stands before its first object.
            let known = self.store.sweep().keys_of_blobs(&keys).await?;
            for key in keys.into_iter().filter(|key| !known.contains(key)) {
                self.remove_objects(key).await?;
                self.measures.orphans.inc();
                tracing::info!(%key, "removed objects that no blob names");
            }
            let ended = self.goes_on().await?;
            if ended.is_some() {
                return Ok(ended);
            }
        }
    }
}
