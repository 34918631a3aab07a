//! `fetch`: a log's entries after a cursor.

use crate::{Connection, Entry, Failure, limits::FETCH_PAGE};
use fastchat_wire::{Block, LogId, chat::fetch::Fetch};

/// One page of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What the server sent, as far as it fits into memory.
    pub entries: Vec<Entry>,
    /// The first number that this reader may have; last + 1 where there is nothing.
    pub first_seq: u64,
    /// The last one.
    pub last_seq: u64,
    /// There are further entries.
    pub more: bool,
}

/// Reads a page of at most [`FETCH_PAGE`] entries.
///
/// # Errors
/// `not-member`.
pub async fn fetch(connection: &Connection, log: LogId, after: u64) -> Result<Page, Failure> {
    fetch_some(connection, log, after, FETCH_PAGE).await
}

/// Reads at most so many entries; no more than [`FETCH_PAGE`].
///
/// # Errors
/// As [`fetch`].
pub async fn fetch_some(connection: &Connection, log: LogId, after: u64, limit: u32) -> Result<Page, Failure> {
    let limit = limit.min(FETCH_PAGE);
    let request = Fetch {
        log,
        after,
        limit: Some(limit),
    };
    let awaited = connection.start_collecting(&request, &Block::none(), limit as usize).await?;
    let reply = awaited.reply().await?;
    Ok(Page {
        entries: reply.entries,
        first_seq: reply.header.first_seq,
        last_seq: reply.header.last_seq,
        more: reply.header.more || reply.cut,
    })
}
