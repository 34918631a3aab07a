//! The task that does on the network what follows from what was read, and what somebody wants.
//!
//! Each step is begun from the profile's state and ends with a change of it. So a step that was cut off is begun
//! again, a step that somebody else was faster with finds nothing to do, and the order of steps does not matter.

use super::{errands::Errands, join, members, renew, shared::Shared, upkeep, wishes::Wishes};
use crate::{Connection, problem::Problem, profile::take};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};

/// After a passing failure.
const PAUSE: Duration = Duration::from_millis(500);
/// Wishes are looked at again at least so often while there are any: another process may have moved something.
const WISHES_INTERVAL: Duration = Duration::from_millis(250);

/// Runs until the messenger ends.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut wishes = Wishes::default();
    loop {
        wait(&shared, &wishes).await;
        let Ok(connection) = shared.connection().await else {
            return;
        };
        let Some(mut errands) = shared.take_errands() else {
            continue;
        };
        let outcome = round(&shared, &connection, &mut errands, &mut wishes).await;
        shared.done(errands);
        if let Err(problem) = outcome {
            tracing::debug!(%problem, "an errand has to wait");
            sleep(PAUSE).await;
            // Asked anew: what was put back is due.
            shared.nudged.notify_one();
        }
    }
}

async fn wait(shared: &Shared, wishes: &Wishes) {
    let now = Instant::now();
    let look_again = now + if wishes.is_empty() { renew::INTERVAL } else { WISHES_INTERVAL };
    tokio::select! {
        () = shared.nudged.notified() => {}
        () = sleep_until(shared.next_due().map_or(look_again, |due| due.min(look_again))) => {
            let wished = !wishes.is_empty();
            shared.ask(|errands| {
                errands.wishes |= wished;
                errands.renew |= !wished;
            });
        }
    }
}

/// Does what is due; what could not be done stays in `errands`.
async fn round(shared: &Arc<Shared>, connection: &Connection, errands: &mut Errands, wishes: &mut Wishes) -> Result<(), Problem> {
    if errands.join {
        join::all(shared, connection).await?;
        errands.join = false;
    }
    while let Some(conversation) = errands.behind.first().copied() {
        join::catch_up(shared, connection, conversation).await?;
        errands.behind.remove(&conversation);
    }
    while let Some(conversation) = errands.verify.first().copied() {
        members::verify(shared, connection, conversation).await?;
        errands.verify.remove(&conversation);
    }
    if errands.wishes {
        wishes.pursue(shared, connection).await?;
        errands.wishes = false;
    }
    while let Some(conversation) = errands.compare.keys().next().copied() {
        members::compare(shared, connection, conversation).await?;
        errands.compare.remove(&conversation);
    }
    if errands.keep_up {
        upkeep::keep_up(connection, &shared.profile).await?;
        look_after_own_devices(shared, connection).await?;
        join::trim_inbox(shared, connection).await?;
        errands.keep_up = false;
    }
    if errands.renew {
        renew::due(shared).await?;
        errands.renew = false;
    }
    Ok(())
}

/// The account's other devices are to be in all of its conversations.
async fn look_after_own_devices(shared: &Arc<Shared>, connection: &Connection) -> Result<(), Problem> {
    use crate::ids::{Expose, Seal};
    let me = shared.profile.run(|profile| profile.look(|groups, _| Ok(groups.me()))).await?;
    let own = crate::chat::lookup_account(connection, me.account.wire()).await?;
    if own.devices.len() < 2 {
        return Ok(());
    }
    let devices: Vec<_> = own.devices.iter().map(|device| device.device.sealed()).collect();
    let lacking = shared.profile.run(move |profile| {
        profile.look(|groups, tx| {
            let mut lacking = Vec::new();
            for conversation in groups.conversations(tx)? {
                let Ok(view) = groups.view(tx, conversation) else { continue };
                let is_in = |device| view.members.iter().any(|member| member.subject().device == device);
                if take::accounts(&view).contains(&me.account) && devices.iter().any(|device| !is_in(*device)) {
                    lacking.push(conversation);
                }
            }
            Ok(lacking)
        })
    });
    let lacking = lacking.await?;
    let now = Instant::now();
    shared.ask(|errands| errands.compare.extend(lacking.into_iter().map(|conversation| (conversation, now))));
    Ok(())
}
