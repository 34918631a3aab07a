//! How blobs end: which of them are to be removed, and whose turn it is to do that.
//!
//! A blob's row goes first, its objects after it. Who dies in between leaves
//! objects whose key no row has: nobody's for good, since a key is never used
//! again, and its row stands before its first object. So nothing here needs to
//! know what another server is writing at the moment.

use super::{Result, blobs::ObjectKey, values};
use async_trait::async_trait;
use fastchat_schema::Columns;
use fastchat_wire::BlobId;
use std::collections::HashSet;

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The server's that asked.
    Ours {
        /// When all blobs were compared with their objects; 0 is never. ms since the Unix epoch.
        walked_at: u64,
    },
    /// Another one's.
    Another,
    /// Nobody's: a backup is being made.
    Paused,
}

/// Why a blob is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// Nobody has gone on with it.
    Unfinished,
    /// It was kept as long as the policy says.
    Aged,
    /// Nobody is left in its conversation.
    Unreadable,
    /// Bytes of it are missing, and have been for a while.
    Lost,
}

impl Removal {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Unfinished, Self::Aged, Self::Unreadable, Self::Lost];

    /// A metric's label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Aged => "aged",
            Self::Unreadable => "unreadable",
            Self::Lost => "lost",
        }
    }
}

/// A blob, as it is compared with its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) blob: BlobId,
    pub(crate) key: ObjectKey,
    /// All of its bytes are acknowledged: it takes no further chunk.
    pub(crate) complete: bool,
    /// Somebody is in its conversation.
    pub(crate) readable: bool,
    /// Since when bytes of it are known to be missing; ms since the Unix epoch.
    pub(crate) lost_at: Option<u64>,
}

/// How blobs end. Times are ms since the Unix epoch.
#[async_trait]
pub(crate) trait SweepStore: Send + Sync {
    /// Takes the turn, or keeps it, until a time; another server has it from then on.
    async fn sweep_turn(&self, server: &str, now: u64, until: u64) -> Result<Turn>;

    /// Gives the turn up; `walked_at` where all blobs were compared with their objects.
    async fn sweep_done(&self, server: &str, walked_at: Option<u64>) -> Result<()>;

    /// From this call's return on nothing is removed before `until`: a backup of
    /// the database that begins now names no object that goes before.
    async fn sweep_pause(&self, until: u64) -> Result<()>;

    /// Blobs that are unfinished, or whole, and did not move after `before`.
    async fn blobs_due(&self, whole: bool, before: u64, limit: u32) -> Result<Vec<BlobId>>;

    /// Blobs after this one, by id.
    async fn blobs_after(&self, after: Option<BlobId>, limit: u32) -> Result<Vec<Standing>>;

    /// Notes since when bytes are missing, or that none are.
    async fn blob_lost(&self, key: ObjectKey, since: Option<u64>) -> Result<()>;

    /// Removes a blob's row if its reason still holds (`before`: it has not moved
    /// after, or was lost by then) and nothing is paused; its key is then nobody's.
    async fn blob_remove(&self, blob: BlobId, why: Removal, before: u64, now: u64) -> Result<Option<ObjectKey>>;

    /// Which of these keys blobs have.
    async fn keys_of_blobs(&self, keys: &[ObjectKey]) -> Result<HashSet<ObjectKey>>;
}

/// A row of `blob_sweep`: whether a backup is being made.
pub(in crate::store) fn is_paused(row: &impl Columns, now: u64) -> Result<bool> {
    Ok(values::number(row, "paused_until")? > now)
}

/// The same row, for a server that could not take the turn: who is in its way.
pub(in crate::store) fn turn_of_another(row: &impl Columns, now: u64) -> Result<Turn> {
    Ok(if is_paused(row, now)? { Turn::Paused } else { Turn::Another })
}

/// A row of [`SweepStore::blobs_after`].
pub(in crate::store) fn standing(row: &impl Columns) -> Result<Standing> {
    Ok(Standing {
        blob: values::id(row, "id")?,
        key: values::id(row, "object_key")?,
        complete: values::flag(row, "complete")?,
        readable: values::flag(row, "readable")?,
        lost_at: values::optional_number(row, "lost_at")?,
    })
}
