//! The task that does on the network what follows from what was read, and what somebody wants.
//!
//! Each step is begun from the profile's state and ends with a change of it. So a step that was cut off is begun
//! again, a step that somebody else was faster with finds nothing to do, and the order of steps does not matter.

use super::{devices, enter, errands::Errands, join, lookups, members, renew, shared::Shared, upkeep, wishes::Wishes};
use crate::{Connection, problem::Problem, profile::take};
use fastchat_e2e::{AccountId, ConversationId, groups::View};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// When a new device is looked at, at random: from then on,
const LOOK_AFTER_MS: u64 = 500;
/// so long,
const LOOK_WITHIN_MS: u64 = 2_500;
/// and so much longer for each device of the group: in a large one not all of its members ask and commit at once.
const LOOK_WITHIN_MS_EACH: u64 = 20;

/// Wishes are looked at again after so long while there are any: another process may have moved something. Doubled
/// while nothing moves.
const WISHES_INTERVAL: Duration = Duration::from_millis(250);
/// Its longest, as a power of two.
const WISHES_DOUBLINGS_MAX: u32 = 4;
/// What others need of this device is looked at again after so long.
const KEEP_UP_INTERVAL: Duration = Duration::from_hours(6);

/// Runs until the messenger ends.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut wishes = Wishes::default();
    let mut looks = Looks {
        last: Instant::now(),
        idle: 0,
    };
    let mut regular = Regular::begin();
    loop {
        wait(&shared, &wishes, &mut looks, regular.next()).await;
        regular.ask(&shared);
        let Ok(connection) = shared.connection().await else {
            return;
        };
        let Some(errands) = shared.take_errands() else {
            continue;
        };
        let undone = round(&shared, &connection, errands, &mut wishes).await;
        shared.done(undone);
    }
}

/// What is done from time to time.
struct Regular {
    keep_up_at: Instant,
    renew_at: Instant,
}

impl Regular {
    fn begin() -> Self {
        Self {
            keep_up_at: Instant::now() + KEEP_UP_INTERVAL,
            renew_at: Instant::now() + renew::INTERVAL,
        }
    }

    fn next(&self) -> Instant {
        self.keep_up_at.min(self.renew_at)
    }

    /// Asks for what is due.
    fn ask(&mut self, shared: &Shared) {
        let now = Instant::now();
        if self.keep_up_at <= now {
            self.keep_up_at = now + KEEP_UP_INTERVAL;
            shared.ask(|errands| errands.keep_up = true);
        }
        if self.renew_at <= now {
            self.renew_at = now + renew::INTERVAL;
            shared.ask(|errands| errands.renew = true);
        }
    }
}

/// When wishes are looked at though nobody has asked.
struct Looks {
    last: Instant,
    /// Looks in a row with nothing moving.
    idle: u32,
}

impl Looks {
    fn next(&self) -> Instant {
        self.last + WISHES_INTERVAL * (1 << self.idle.min(WISHES_DOUBLINGS_MAX))
    }
}

/// Waits until something is due.
async fn wait(shared: &Shared, wishes: &Wishes, looks: &mut Looks, regular: Instant) {
    let mut due = shared.next_due().map_or(regular, |due| due.min(regular));
    if !wishes.is_empty() {
        due = wishes.next_try().into_iter().fold(due.min(looks.next()), Instant::min);
    }
    tokio::select! {
        () = shared.nudged.notified() => looks.idle = 0,
        () = sleep_until(due) => {}
    }
    // Not put off by a conversation in which much is said.
    if !wishes.is_empty() && looks.next() <= Instant::now() {
        looks.last = Instant::now();
        looks.idle += 1;
        shared.queue_wishes();
    } else if wishes.is_due() {
        shared.queue_wishes();
    }
}

/// Does what is due, each errand for itself: one that fails does not stop the others. Gives what a later try may do;
/// what none will is told and dropped.
async fn round(shared: &Arc<Shared>, connection: &Connection, errands: Errands, wishes: &mut Wishes) -> Errands {
    let mut undone = Errands::default();
    if errands.join {
        undone.join = waits(join::all(shared, connection).await, "invitations");
    }
    // Before anything is read that they say.
    if errands.acquaint {
        undone.acquaint = waits(lookups::acquaint(shared, connection).await, "new people");
        undone.acquaint |= waits(devices::acquaint(shared, connection).await, "new devices");
    }
    if errands.outside {
        undone.outside = waits(enter::look(shared).await, "conversations that this device is not in");
    }
    for (conversation, attempt) in errands.enter {
        match enter::enter(shared, connection, conversation, attempt).await {
            Ok(None) => {}
            Ok(Some(next)) => shared.ask(|errands| _ = errands.enter.insert(conversation, next)),
            Err(problem) => {
                if waits(Err(problem), "coming in") {
                    undone.enter.insert(conversation, attempt);
                }
            }
        }
    }
    let mut verify = errands.verify;
    for conversation in errands.behind {
        match join::catch_up(shared, connection, conversation).await {
            Ok(join::Read::NotMember) => _ = verify.insert(conversation),
            read => {
                if waits(read.map(drop), "missing entries") {
                    undone.behind.insert(conversation);
                }
            }
        }
    }
    for conversation in verify {
        if waits(members::verify(shared, connection, conversation).await, "membership") {
            undone.verify.insert(conversation);
        }
    }
    if errands.wishes {
        undone.wishes = waits(wishes.pursue(shared, connection).await, "changes");
    }
    for account in errands.new_devices {
        if waits(look_for_new_device(shared, account).await, "new devices") {
            undone.new_devices.insert(account);
        }
    }
    for (conversation, at) in errands.compare {
        if waits(members::compare(shared, connection, conversation).await, "members") {
            undone.compare.insert(conversation, at);
        }
    }
    for (conversation, at) in errands.tell_names {
        if waits(devices::tell_name(shared, conversation).await, "a group's name") {
            undone.tell_names.insert(conversation, at);
        }
    }
    for (conversation, at) in errands.mend {
        if waits(renew::mend(shared, conversation).await, "a change in the place of a bad one") {
            undone.mend.insert(conversation, at);
        }
    }
    if errands.keep_up {
        undone.keep_up = waits(keep_up(shared, connection).await, "what others need of this device");
    }
    if errands.renew {
        undone.renew = waits(renew::due(shared).await, "renewals");
    }
    undone
}

/// True where a later try may do it.
fn waits(outcome: Result<(), Problem>, what: &str) -> bool {
    match outcome {
        Ok(()) => false,
        Err(problem) if problem.is_passing() => {
            tracing::debug!(%problem, what, "an errand has to wait");
            true
        }
        Err(problem) => {
            tracing::warn!(%problem, what, "an errand that can't be done");
            false
        }
    }
}

async fn keep_up(shared: &Arc<Shared>, connection: &Connection) -> Result<(), Problem> {
    upkeep::keep_up(connection, &shared.profile).await?;
    devices::send_away(shared, connection).await?;
    look_after_own_devices(shared, connection).await?;
    join::trim_inbox(shared, connection).await
}

/// Somebody has a new device: it is to be added wherever this account meets them.
async fn look_for_new_device(shared: &Arc<Shared>, account: AccountId) -> Result<(), Problem> {
    let shares = matching(shared, move |view| take::accounts(view).contains(&account)).await?;
    compare_soon(shared, shares).await
}

/// Has groups compared with the server's lists: not by all of their members at once, and not before it can be.
pub(super) async fn compare_soon(shared: &Arc<Shared>, conversations: Vec<ConversationId>) -> Result<(), Problem> {
    for conversation in conversations {
        let at = soon(shared, conversation).await?;
        shared.ask(|errands| _ = errands.compare.insert(conversation, at));
    }
    Ok(())
}

/// When this device does what any member of a conversation may do: whoever is first spares the others that.
pub(super) async fn soon(shared: &Shared, conversation: ConversationId) -> Result<Instant, Problem> {
    let view = members::view(shared, conversation).await?;
    Ok(Instant::now() + jitter(view.map_or(0, |view| view.members.len())))
}

fn jitter(leaves: usize) -> Duration {
    let within = LOOK_WITHIN_MS + LOOK_WITHIN_MS_EACH * leaves as u64;
    Duration::from_millis(LOOK_AFTER_MS + rand::random_range(0..within))
}

/// The conversations whose groups are so. Each is looked at by itself: with many of them, others are not kept waiting.
async fn matching(shared: &Shared, is_so: impl Fn(&View) -> bool + Clone + Send + 'static) -> Result<Vec<ConversationId>, Problem> {
    let all = shared
        .profile
        .run(|profile| profile.look(|groups, tx| Ok(groups.conversations(tx)?)))
        .await?;
    let mut found = Vec::new();
    for conversation in all {
        let is_so = is_so.clone();
        let looked = shared
            .profile
            .run(move |profile| profile.look(|groups, tx| Ok(groups.view(tx, conversation).is_ok_and(|view| is_so(&view)))));
        if looked.await? {
            found.push(conversation);
        }
    }
    Ok(found)
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
    let lacking = matching(shared, move |view| {
        let is_in = |device| view.members.iter().any(|member| member.subject().device == device);
        take::accounts(view).contains(&me.account) && devices.iter().any(|device| !is_in(*device))
    });
    let lacking = lacking.await?;
    let now = Instant::now();
    shared.ask(|errands| errands.compare.extend(lacking.into_iter().map(|conversation| (conversation, now))));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_large_group_not_all_look_at_a_new_device_at_once() {
        let longest = |leaves| (0..1_000).map(|_| jitter(leaves)).max().unwrap();
        assert!(longest(2) < Duration::from_secs(4));
        assert!(longest(1_000) > Duration::from_secs(10));
        assert!((0..1_000).all(|_| jitter(1_000) >= Duration::from_millis(LOOK_AFTER_MS)));
    }
}
