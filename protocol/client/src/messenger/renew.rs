//! Renewing this device's keys in each conversation: soon after it joined, and once a week from then on.
//!
//! A thief who copied the device's state reads on until its keys are renewed; and in a group that was just made, the
//! first renewals fill the tree, so that later commits are small. When a renewal is due stands in the profile: a
//! device that is online for moments only does it at its next start.

use super::{
    members::{self, Change},
    shared::Shared,
    steward::soon,
};
use crate::{clock, problem::Problem, profile::rooms};
use fastchat_e2e::ConversationId;
use std::{ops::Range, sync::Arc, time::Duration};

/// How often it is looked whether one is due.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);
/// After a join, in ms.
const FIRST_MS: Range<u64> = 60_000..300_000;
/// And so much more for each device in the group: they are not to come all at once.
const FIRST_MS_PER_DEVICE: u64 = 1_000;
/// After a renewal, in ms: a week, a day more or less.
const NEXT_MS: Range<u64> = 6 * 86_400_000..8 * 86_400_000;
/// After a try: taken, it is [`next`] instead.
const AGAIN_MS: u64 = 600_000;

/// When a device that has just joined a group of so many renews its keys: ms since 1970.
pub(crate) fn first(devices: usize) -> u64 {
    let spread = FIRST_MS_PER_DEVICE.saturating_mul(u64::try_from(devices).unwrap_or(u64::MAX));
    clock::now_ms().saturating_add(rand::random_range(FIRST_MS.start..FIRST_MS.end.saturating_add(spread)))
}

/// When a device whose own commit was just taken renews its keys again: ms since 1970.
pub(crate) fn next() -> u64 {
    clock::now_ms() + rand::random_range(NEXT_MS)
}

/// Renews where nobody else has made a good commit since the last one, which was no good. It brings a GroupInfo by
/// which others can come in.
///
/// # Errors
/// The store; the network.
pub(super) async fn mend(shared: &Arc<Shared>, conversation: ConversationId) -> Result<(), Problem> {
    let is_owed = shared
        .profile
        .run(move |profile| profile.read(|tx| rooms::owes_commit(tx, conversation)));
    if is_owed.await? {
        renew(shared, conversation).await?;
    }
    Ok(())
}

/// Renews where it is due. One that is overtaken or refused is due again a while later.
///
/// # Errors
/// The store.
pub(super) async fn due(shared: &Arc<Shared>) -> Result<(), Problem> {
    let owed = shared.profile.run(|profile| profile.read(rooms::commits_owed)).await?;
    for conversation in owed {
        let at = soon(shared, conversation).await?;
        shared.ask(|errands| _ = errands.mend.entry(conversation).or_insert(at));
    }
    let due = shared
        .profile
        .run(|profile| profile.read(|tx| rooms::to_renew(tx, clock::now_ms())));
    for conversation in due.await? {
        shared
            .profile
            .run(move |profile| profile.write(|tx| rooms::save_renew_at(tx, conversation, clock::now_ms() + AGAIN_MS)))
            .await?;
        match renew(shared, conversation).await {
            Err(problem @ Problem::Store(_)) => return Err(problem),
            Err(problem) => tracing::warn!(%conversation, %problem, "keys can't be renewed"),
            Ok(()) => {}
        }
    }
    Ok(())
}

async fn renew(shared: &Arc<Shared>, conversation: ConversationId) -> Result<(), Problem> {
    // Not in a group whose first commit is still on its way.
    if members::view(shared, conversation).await?.is_some_and(|view| view.mls_epoch > 0) {
        members::commit(shared, conversation, Change::Renew, None).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joiners_of_a_large_group_are_spread_and_nobody_waits_for_an_hour() {
        let now = clock::now_ms();
        let all: Vec<u64> = (0..1_000).map(|_| first(1_000) - now).collect();
        assert!(all.iter().all(|ms| (FIRST_MS.start..3_600_000).contains(ms)));
        let (earliest, latest) = (all.iter().min().unwrap(), all.iter().max().unwrap());
        assert!(latest - earliest > 1_000_000, "spread over {} ms", latest - earliest);
    }

    #[test]
    fn a_renewal_is_due_again_in_a_week() {
        let days = (next() - clock::now_ms()) / 86_400_000;
        assert!((5..8).contains(&days), "{days}");
    }
}
