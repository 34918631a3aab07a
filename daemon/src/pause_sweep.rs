//! `fastchatd pause-sweep`: no server removes blobs while a backup is being made.

use crate::{config::PauseSweep, store::SweepStore};
use anyhow::Context;
use fastchat_schema::Opened;
use std::time::{SystemTime, UNIX_EPOCH};

/// Begins the pause, makes it longer or shorter, or ends it.
///
/// # Errors
/// The database can't be opened or written.
pub(crate) async fn run(pause: &PauseSweep) -> anyhow::Result<()> {
    let database: Box<dyn SweepStore> = match fastchat_schema::open(pause.database.expose()).await? {
        Opened::Sqlite(database) => Box::new(database),
        Opened::Postgres(database) => Box::new(database),
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("this host's clock stands before 1970")?;
    let now = u64::try_from(now.as_millis()).context("this host's clock stands far in the future")?;
    let until = match pause.minutes {
        0 => 0,
        minutes => now.saturating_add(minutes * 60_000),
    };
    database
        .sweep_pause(until)
        .await
        .context("the pause could not be noted: try again")?;
    tracing::info!(
        database = fastchat_schema::shown(pause.database.expose()),
        minutes = pause.minutes,
        "blobs are left alone for so long"
    );
    Ok(())
}
