//! Sealed files to and from the fleet: they go on where they were when a connection is lost.
//!
//! ```text
//!             ┌───────────── retryable, no answer in time: after a pause ─────────────┐
//!             v                                                                        │
//!  connection ──> where to continue ──> piece ──> piece ──> … ──> all there            │
//!             ^                           └────────────────────────────────────────────┤
//!             └───────────────────────────── lost: on the next connection ─────────────┘
//! ```
//!
//! Waiting for a connection has no bound: the caller's time-out ends it, by dropping the future. On a connection that
//! works it does: so many failures in a row without a byte more, and the last of them is the outcome.
//!
//! | file | what |
//! | --- | --- |
//! | `upload` | pieces of a file to a blob, four at a time |
//! | `download` | ranges of a blob to a file, two at a time |
//! | `patience` | which failures are borne, how often, with which pauses |
//! | `file` | reading and writing off the async threads |

mod download;
mod file;
mod patience;
mod upload;

use crate::{error::Failure, session::Handle};
use download::Download;
use fastchat_wire::{BlobId, LogId};
use patience::Patience;
use std::{fs::File, io};
use upload::Upload;

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The fleet's part: it says no, it misbehaves, or the session is over.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The server has something else there than what was to be had: truncated, or another file.
    #[error("the server has {found} bytes of this file, and its sender announced {announced}: ask for it again")]
    AnotherSize {
        /// Bytes that the server says there are.
        found: u64,
        /// Bytes that there must be.
        announced: u64,
    },
    /// The file's part.
    #[error("{}", file::told(.0))]
    File(#[from] io::Error),
}

/// Puts a sealed file into a blob, for the members of a conversation: from where the blob is, after an upload that was
/// broken off (then `sealed` must be the same bytes). `progress` is told how many bytes are on stable storage, and of
/// how many.
///
/// # Errors
/// What can't be changed by asking again (`quota-exceeded`, `not-member`, `forbidden`, `conflict` …), a session that is
/// over, or the file can't be read.
pub async fn upload(
    handle: &Handle,
    conversation: LogId,
    blob: BlobId,
    sealed: File,
    progress: impl Fn(u64, u64) + Send + Sync,
) -> Result<(), TransferError> {
    let upload = Upload::new(conversation, blob, sealed).await?;
    let mut patience = Patience::new(handle.timing(), &progress, upload.size());
    loop {
        let connection = handle.connection().await?;
        let Err(setback) = upload.over(&connection, &mut patience).await else {
            return Ok(());
        };
        patience.bear(setback, &connection).await?;
    }
}

/// Gets a blob of `sealed_size` bytes into a file that holds the first `from` of them: none, or what an earlier
/// download has left. `progress` is told how many bytes are in the file, and of how
/// many. They are written, not synced.
///
/// # Errors
/// What can't be changed by asking again (`not-found` …), a blob of another size, a session that is over, or the file
/// can't be written; what was written stays.
pub async fn download(
    handle: &Handle,
    blob: BlobId,
    sealed_size: u64,
    target: File,
    from: u64,
    progress: impl Fn(u64, u64) + Send + Sync,
) -> Result<(), TransferError> {
    let mut download = Download::new(blob, sealed_size, target, from);
    let mut patience = Patience::new(handle.timing(), &progress, sealed_size);
    loop {
        let connection = handle.connection().await?;
        let Err(setback) = download.over(&connection, &mut patience).await else {
            return Ok(());
        };
        patience.bear(setback, &connection).await?;
    }
}
