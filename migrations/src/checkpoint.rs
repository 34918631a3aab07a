//! Checkpoints: the write-ahead log goes back into the database from time to time.
//!
//! SQLite would do that inside of whatever commit comes along, in any process.
//! Here one task of each process looks once a second, and takes its turn among
//! the writers when there is something to do.

use crate::{
    DatabaseError,
    turn::{Queue, Turn},
};
use sqlx::{Connection, Row, SqliteConnection, SqlitePool};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a process looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Pages (of 4 KiB) that wait before a checkpoint is worth its sync.
const PAGES_MIN: i64 = 1_000;

/// Pages in the write-ahead log at which readers are waited for, so that it begins anew.
const PAGES_MAX: i64 = 16_000;

/// What the write-ahead log holds, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WalPages {
    all: i64,
    /// Those that are in the database as well.
    done: i64,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Nothing,
    /// Copy what no reader stands in the way of.
    Passive,
    /// Wait for readers, copy everything and begin the file anew.
    Truncate,
}

fn plan(pages: WalPages) -> Plan {
    match pages {
        WalPages { all, .. } if all >= PAGES_MAX => Plan::Truncate,
        WalPages { all, done } if all - done >= PAGES_MIN => Plan::Passive,
        WalPages { .. } => Plan::Nothing,
    }
}

/// Looks until told to stop.
pub(crate) async fn run(queue: Queue, readers: SqlitePool, stop: CancellationToken) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => {}
        }
        if let Err(error) = look(&queue, &readers).await {
            // Nothing is lost: the log grows until a later one succeeds.
            tracing::warn!(%error, "a checkpoint of the database failed; trying again in a second");
        }
    }
}

async fn look(queue: &Queue, readers: &SqlitePool) -> Result<(), DatabaseError> {
    let pages = wal_pages(
        &mut *readers.acquire().await.map_err(DatabaseError::from)?,
        "PRAGMA wal_checkpoint(NOOP)",
    )
    .await?;
    if plan(pages) == Plan::Nothing {
        return Ok(());
    }
    let mut turn = Turn::take(queue).await?;
    let mut connection = turn.connection().await?;
    // Another process may have been here while this one waited.
    let outcome = checkpoint(&mut connection).await;
    match outcome {
        Ok(()) => turn.keep(connection),
        Err(_) => drop(connection.close().await),
    }
    outcome
}

async fn checkpoint(connection: &mut SqliteConnection) -> Result<(), DatabaseError> {
    let pages = wal_pages(connection, "PRAGMA wal_checkpoint(NOOP)").await?;
    match plan(pages) {
        Plan::Nothing => {}
        Plan::Passive => drop(wal_pages(connection, "PRAGMA wal_checkpoint(PASSIVE)").await?),
        Plan::Truncate => drop(wal_pages(connection, "PRAGMA wal_checkpoint(TRUNCATE)").await?),
    }
    Ok(())
}

async fn wal_pages(connection: &mut SqliteConnection, pragma: &'static str) -> Result<WalPages, DatabaseError> {
    let row = sqlx::query(pragma).fetch_one(connection).await?;
    Ok(WalPages {
        all: row.try_get("log")?,
        done: row.try_get("checkpointed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_made_when_it_is_worth_its_sync() {
        for (all, done, expected) in [
            (-1, -1, Plan::Nothing),
            (0, 0, Plan::Nothing),
            (999, 0, Plan::Nothing),
            (1_000, 0, Plan::Passive),
            (15_000, 15_000, Plan::Nothing),
            (16_000, 15_900, Plan::Truncate),
        ] {
            assert_eq!(plan(WalPages { all, done }), expected, "{all} {done}");
        }
    }
}
