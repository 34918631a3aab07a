//! `fastchatd pause-sweep`: no server removes blobs while a backup is being made.

use crate::{
    config::PauseSweep,
    store::{
        SweepStore,
        postgres::{AppendPaths, PostgresStore},
        sqlite::SqliteStore,
    },
};
use anyhow::Context;
use fastchat_schema::Opened;
use prometheus::{IntCounterVec, Opts};
use std::time::{SystemTime, UNIX_EPOCH};

/// Begins the pause, makes it longer or shorter, or ends it.
///
/// # Errors
/// The database can't be opened or written.
pub(crate) async fn run(pause: &PauseSweep) -> anyhow::Result<()> {
    let store: Box<dyn SweepStore> = match fastchat_schema::open(pause.database.expose()).await? {
        Opened::Sqlite(database) => Box::new(SqliteStore::new(database)),
        Opened::Postgres(database) => {
            // Nothing is appended here.
            let paths = IntCounterVec::new(Opts::new("append_paths", "not registered"), &["path"])?;
            Box::new(PostgresStore::new(database, AppendPaths::new(&paths)))
        }
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("this host's clock stands before 1970")?;
    let now = u64::try_from(now.as_millis()).context("this host's clock stands far in the future")?;
    let until = match pause.minutes {
        0 => 0,
        minutes => now.saturating_add(minutes * 60_000),
    };
    store.sweep_pause(until).await.context("the pause could not be noted: try again")?;
    tracing::info!(
        database = fastchat_schema::shown(pause.database.expose()),
        minutes = pause.minutes,
        "blobs are left alone for so long"
    );
    Ok(())
}
