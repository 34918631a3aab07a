//! The loop that drives what is towards what should be.
//!
//! It wakes with every status, every change and every half second, asks
//! [`plan::reconcile`] what is due, and commits that. It keeps nothing between
//! two passes, so a restart of the control plane continues where it was.

use crate::app::App;
use crate::clock;
use crate::plan;
use crate::store::{Change, CommitError};
use std::{sync::Arc, time::Duration};
use tokio::time::MissedTickBehavior;

/// Deadlines are met this closely.
const TICK: Duration = Duration::from_millis(500);
/// Statuses of many processes come in bursts; one pass serves them all.
const GATHER: Duration = Duration::from_millis(10);

/// Runs until the control plane ends.
pub(crate) async fn run(app: Arc<App>) {
    let mut fleets = app.fleets();
    let mut commits = app.commits();
    let mut statuses = app.observed.changes();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            // The end goes before everything.
            () = app.shutdown.cancelled() => return,
            // The senders live as long as the app does.
            _ = fleets.changed() => {}
            _ = commits.changed() => {}
            _ = statuses.changed() => {}
            _ = tick.tick() => {}
        }
        tokio::time::sleep(GATHER).await;
        match pass(&app).await {
            Ok(()) => {}
            Err(CommitError::Stale | CommitError::KeyUsed) => {
                if let Err(error) = app.refresh().await {
                    tracing::warn!(%error, "the fleet can't be read; trying again");
                }
            }
            Err(CommitError::Store(error)) => tracing::warn!(%error, "nothing can be reconciled now; trying again"),
        }
    }
}

/// Does what is due, once.
pub(crate) async fn pass(app: &App) -> Result<(), CommitError> {
    let fleet = app.fleet();
    app.observed.retain(&fleet);
    let open = app.store.open_operations().await?;
    let edits = plan::reconcile(&fleet, &app.observed.snapshot(), &open, clock::now_ms());
    if edits.is_empty() {
        return Ok(());
    }
    app.commit(Change {
        based_on: fleet.generation,
        edits,
        ..Change::default()
    })
    .await
}
