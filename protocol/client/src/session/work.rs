//! What runs beside a session's loop, and how it ended.

use super::arrive::{Arrived, Setback, blocking};
use crate::{
    chat::{self, Listing, Page},
    connection::Connection,
    error::{Failure, Unkept},
    limits::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX},
    outbox::{Outbox, Outgoing, Verdict, cut, send},
};
use fastchat_wire::LogId;
use std::sync::Arc;

/// Something ended.
pub(super) enum Done {
    /// A try to get onto a server.
    Arrived(Result<Arrived, Setback>),
    /// A page of a log; `store` counts the stores.
    Fetched {
        log: LogId,
        store: u64,
        connection: Connection,
        page: Result<Page, Failure>,
    },
    /// The list of conversations, read again.
    Listed(Connection, Result<Listing, Failure>),
    /// The outbox's logs.
    Waiting(Result<Vec<LogId>, Unkept>),
    /// A batch of one log.
    Sent {
        log: LogId,
        store: u64,
        connection: Connection,
        batch: Result<Vec<(Outgoing, Verdict)>, Unkept>,
    },
}

/// Reads a page.
pub(super) async fn fetch(connection: Connection, log: LogId, after: u64, store: u64) -> Done {
    let page = chat::fetch(&connection, log, after).await;
    Done::Fetched {
        log,
        store,
        connection,
        page,
    }
}

/// Reads the list of conversations.
pub(super) async fn list(connection: Connection) -> Done {
    let listing = chat::conversations(&connection).await;
    Done::Listed(connection, listing)
}

/// Asks the outbox for its logs.
pub(super) async fn waiting(outbox: Arc<dyn Outbox>) -> Done {
    Done::Waiting(blocking(move || outbox.logs()).await)
}

/// Sends the first entries of a log, and settles what is over.
pub(super) async fn batch(connection: Connection, outbox: Arc<dyn Outbox>, log: LogId, store: u64) -> Done {
    let batch = send_first(&connection, outbox, log).await;
    Done::Sent {
        log,
        store,
        connection,
        batch,
    }
}

async fn send_first(connection: &Connection, outbox: Arc<dyn Outbox>, log: LogId) -> Result<Vec<(Outgoing, Verdict)>, Unkept> {
    let asked = Arc::clone(&outbox);
    let first = cut(blocking(move || asked.first(log, BATCH_ENTRIES_MAX, BATCH_BYTES_MAX)).await?);
    let verdicts = send(connection, &first).await;
    let batch: Vec<(Outgoing, Verdict)> = first.into_iter().zip(verdicts).collect();
    let settled: Vec<_> = batch
        .iter()
        .filter_map(|(outgoing, verdict)| match verdict {
            Verdict::Settled(settlement) => Some((outgoing.entry, settlement.clone())),
            Verdict::Later(_) | Verdict::Unknown(_) => None,
        })
        .collect();
    if !settled.is_empty() {
        blocking(move || outbox.settle(&settled)).await?;
    }
    Ok(batch)
}
