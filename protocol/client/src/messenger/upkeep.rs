//! What others need of this device while it is away: its credential, and key packages.

use crate::{
    Connection, chat, clock,
    problem::Problem,
    profile::{Profile, identity, tasks},
};
use bytes::Bytes;
use fastchat_e2e::mls::key_packages::ONE_TIME_MIN;
use std::{sync::Arc, time::Duration};

/// Fewer than [`ONE_TIME_MIN`] left, and it is filled up to so many.
const ONE_TIME_FULL: usize = 2 * ONE_TIME_MIN;
/// A last-resort key package is replaced after so long; it lives 90 days.
const LAST_RESORT_AGE: Duration = Duration::from_hours(30 * 24);

/// Publishes what is missing.
///
/// # Errors
/// `conflict` where the account has another identity; the network.
pub(crate) async fn keep_up(connection: &Connection, profile: &Arc<Profile>) -> Result<(), Problem> {
    publish_credential(connection, profile).await?;
    let now = clock::now();
    let last_resort = profile.run(|profile| profile.read(identity::last_resort)).await?;
    if last_resort.is_none_or(|at_ms| now.saturating_sub(Duration::from_millis(at_ms)) > LAST_RESORT_AGE) {
        publish(connection, profile, 1, true).await?;
        profile
            .run(|profile| profile.write(|tx| identity::save_last_resort(tx, Some(clock::now_ms()))))
            .await?;
    }
    let left = usize::try_from(chat::keys_count(connection).await?).unwrap_or(usize::MAX);
    if left < ONE_TIME_MIN {
        publish(connection, profile, ONE_TIME_FULL - left, false).await?;
    }
    profile
        .run(move |profile| {
            profile.change(|groups, tx| {
                groups.expire_key_packages(tx, now)?;
                tasks::forget_old_outcomes(tx, clock::now_ms())
            })
        })
        .await
}

async fn publish_credential(connection: &Connection, profile: &Arc<Profile>) -> Result<(), Problem> {
    let found = profile.run(|profile| profile.read(|tx| Ok((identity::credential(tx)?, identity::is_published(tx)?))));
    let (Some(credential), false) = found.await? else {
        return Ok(());
    };
    let identity = credential.subject().identity_key.as_bytes().to_vec();
    chat::set_credential(connection, identity, credential.as_bytes().to_vec()).await?;
    profile.run(|profile| profile.write(identity::save_published)).await
}

/// Their keys are kept before they are published.
async fn publish(connection: &Connection, profile: &Arc<Profile>, count: usize, last_resort: bool) -> Result<(), Problem> {
    let made = profile
        .run(move |profile| profile.change(|groups, tx| Ok(groups.make_key_packages(tx, count, last_resort, clock::now())?)))
        .await?;
    let packages: Vec<Bytes> = made.into_iter().map(Bytes::from).collect();
    chat::keys_publish(connection, &packages, last_resort).await?;
    Ok(())
}
