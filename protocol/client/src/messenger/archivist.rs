//! The task that brings what was read and said into the account's archive: in batches of 64 messages, or after 30 s.
//!
//! What waits and what was archived stands in the profile (`profile::archive`): this only says when. What an earlier
//! run left is archived at the start, and what waits at the end of a run before it is over.

use super::shared::Shared;
use crate::{
    fault::{self, Fault},
    problem::Problem,
    profile::{
        Profile,
        archive::{self, Waiting},
    },
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// A message waits so long for others to go with it.
const WAIT: Duration = Duration::from_secs(30);
/// Between two looks, however much happens.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How long the end of a run waits for the server to have it.
const FAREWELL: Duration = Duration::from_millis(1_500);

/// Runs until the messenger ends.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut changes = shared.profile.changes();
    // What an earlier run left does not wait again.
    let mut due = Some(Instant::now());
    loop {
        changes.borrow_and_update();
        due = match look(&shared, due).await {
            Ok(due) => due,
            Err(problem) => {
                tracing::warn!(%problem, "nothing can be archived for now");
                Some(Instant::now() + WAIT)
            }
        };
        sleep(LOOK_INTERVAL).await;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = sleep_until(due.unwrap_or_else(|| Instant::now() + WAIT)) => {}
        }
    }
}

/// Archives what is due; when the rest is.
async fn look(shared: &Arc<Shared>, due: Option<Instant>) -> Result<Option<Instant>, Problem> {
    let waiting = shared.profile.run(|profile| profile.read(archive::waiting)).await?;
    let now = Instant::now();
    match waiting {
        Waiting::Nothing => Ok(None),
        Waiting::Some if due.is_none_or(|due| due > now) => Ok(Some(due.unwrap_or(now + WAIT))),
        Waiting::Some | Waiting::Batch => {
            archive_all(shared).await?;
            Ok(None)
        }
    }
}

/// Archives all that waits, in as many batches as it takes.
async fn archive_all(shared: &Arc<Shared>) -> Result<(), Problem> {
    while shared.profile.run(Profile::archive).await? {
        fault::point(Fault::Archived);
        shared.handle.wake();
    }
    Ok(())
}

/// Archives what waits, and lets the server have it where that is quickly done: the device may not come back.
pub(super) async fn finish(shared: &Arc<Shared>) -> Result<(), Problem> {
    archive_all(shared).await?;
    if shared.status.borrow().server.is_none() {
        return Ok(());
    }
    let mut changes = shared.profile.changes();
    let sent = async {
        while shared.profile.run(|profile| profile.read(archive::has_unsent)).await? {
            if changes.changed().await.is_err() {
                break;
            }
        }
        Ok(())
    };
    timeout(FAREWELL, sent).await.unwrap_or(Ok(()))
}

impl Profile {
    /// Makes one batch for the account's archive of what waits; false where nothing does.
    fn archive(&self) -> Result<bool, Problem> {
        fault::point(Fault::Archiving);
        let waits = self.read(archive::waiting)? != Waiting::Nothing;
        if !waits {
            return Ok(false);
        }
        let made = self.change(|groups, tx| archive::archive(groups, tx))?;
        // What waited may have been nothing for the archive, and more may wait behind it.
        Ok(made || self.read(archive::waiting)? != Waiting::Nothing)
    }
}
