//! The task that deletes messages when their time has come. What came due while no program ran is deleted when the
//! profile is opened.

use super::shared::Shared;
use crate::clock::now_ms;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// Between two looks at least, however much happens.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Between two looks at most: a clock may have been set.
const IDLE: Duration = Duration::from_secs(60);

/// Runs until the messenger ends.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut changes = shared.profile.changes();
    loop {
        changes.borrow_and_update();
        let next = shared.profile.run(|profile| profile.sweep(now_ms())).await;
        let wait = match next {
            Ok(next) => next.map_or(IDLE, |at_ms| Duration::from_millis(at_ms.saturating_sub(now_ms())).min(IDLE)),
            Err(problem) => {
                tracing::warn!(%problem, "messages that are to disappear stay for now");
                IDLE
            }
        };
        sleep(LOOK_INTERVAL).await;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = sleep(wait.saturating_sub(LOOK_INTERVAL)) => {}
        }
    }
}
