//! The loop that drives what is towards what should be.
//!
//! It wakes with every status, every change and every half second, asks
//! [`plan::reconcile`] what is due, and commits that. It keeps nothing between
//! two passes, so a restart of the control plane continues where it was.

use crate::app::App;
use crate::clock;
use crate::desired::Fleet;
use crate::operation::Operation;
use crate::plan;
use crate::problem::Problem;
use crate::store::{Change, CommitError};
use crate::trial::{self, GivenUp};
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
    let (seen, now) = (app.observed.snapshot(), clock::now_ms());
    if let Some(given_up) = trial::given_up(&fleet, &seen, now) {
        return give_up(app, &fleet, &open, &given_up, now).await;
    }
    let edits = plan::reconcile(&fleet, &seen, &open, now);
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

/// What stood before the trial is desired again; whatever else is due follows in the next pass.
async fn give_up(app: &App, fleet: &Fleet, open: &[Operation], given_up: &GivenUp, now: u64) -> Result<(), CommitError> {
    let GivenUp { who, reason } = given_up;
    let former = trial::standing(fleet);
    let detail = format!("{} was given up by {who}: {reason}", fleet.balancing.strategy);
    let mut edits = trial::end(open, Some(&Problem::conflict("reverted", detail)), now);
    edits.push(trial::stand(former));
    app.commit(Change {
        based_on: fleet.generation,
        edits,
        audit: Some(trial::record(fleet, given_up, now)),
        receipt: None,
    })
    .await?;
    tracing::warn!(who, reason, back_to = former.strategy, "a strategy on trial was given up");
    Ok(())
}
