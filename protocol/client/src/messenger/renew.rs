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
/// And so much more for each device in the group, at least: they are not to come all at once, but one a second.
const FIRST_MS_PER_DEVICE: u64 = 1_000;
/// In a large group so much for each device and each other one: a renewal of a tree that is not filled yet is some 370
/// bytes for each device, so the first renewals bring each member 10 KB a second at most, however many they are.
const FIRST_MS_PER_DEVICE_SQUARED: u64 = 40;
/// After a renewal, in ms: a week, a day more or less.
const NEXT_MS: Range<u64> = 6 * 86_400_000..8 * 86_400_000;
/// After a try: taken, it is [`next`] instead.
const AGAIN_MS: u64 = 600_000;

/// When a device that has just joined a group of so many renews its keys: ms since 1970.
pub(crate) fn first(devices: usize) -> u64 {
    clock::now_ms().saturating_add(rand::random_range(first_ms(devices)))
}

/// After a join of a group of so many, in ms. Pure.
fn first_ms(devices: usize) -> Range<u64> {
    let devices = u64::try_from(devices).unwrap_or(u64::MAX);
    let each = FIRST_MS_PER_DEVICE.max(FIRST_MS_PER_DEVICE_SQUARED.saturating_mul(devices));
    FIRST_MS.start..FIRST_MS.end.saturating_add(each.saturating_mul(devices))
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

    /// What a renewal is for each device of the group where nobody has renewed before.
    const BYTES_PER_DEVICE: u64 = 370;

    #[test]
    fn the_first_renewals_of_a_group_come_at_a_bounded_rate_however_large_it_is() {
        for devices in 1..=fastchat_e2e::mls::LEAVES_MAX {
            let Range { start, end } = first_ms(devices);
            let (window_ms, devices) = (end - start, devices as u64);
            assert!(window_ms >= devices * 1_000, "{devices}: more than one renewal a second");
            let bytes_per_s = devices * devices * BYTES_PER_DEVICE * 1_000 / window_ms;
            assert!(bytes_per_s < 10_000, "{devices}: {bytes_per_s} B/s for each member");
        }
    }

    #[test]
    fn the_first_renewal_of_a_small_group_is_done_within_minutes_and_of_the_largest_within_two_days() {
        assert!(first_ms(2).end <= 302_000);
        assert!(first_ms(25).end <= 325_000, "one a second up to here");
        assert!(first_ms(128).end <= 16 * 60_000);
        assert!(first_ms(fastchat_e2e::mls::LEAVES_MAX).end <= 2 * 86_400_000);
    }

    #[test]
    fn those_who_join_at_once_renew_at_times_of_their_own() {
        let now = clock::now_ms();
        let all: Vec<u64> = (0..1_000).map(|_| first(1_000) - now).collect();
        let (earliest, latest) = (all.iter().min().unwrap(), all.iter().max().unwrap());
        assert!(
            *earliest >= FIRST_MS.start && latest - earliest > 30_000_000,
            "spread over {} ms",
            latest - earliest
        );
    }

    #[test]
    fn a_renewal_is_due_again_in_a_week() {
        let days = (next() - clock::now_ms()) / 86_400_000;
        assert!((5..8).contains(&days), "{days}");
    }
}
