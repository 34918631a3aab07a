//! Coming into conversations of the account by itself, where nobody has invited this device.
//!
//! ```text
//!  listed by the server, no group here ─> an invitation waits? ─yes─> it is used
//!                                            │no
//!                      GroupInfo ─> commit kept ─> sent ─┬─ stands in the log ──> in
//!                          ^                             └─ epoch-conflict ─┐
//!                          └────────────── a pause ─────────────────────────┘
//! ```
//!
//! A device that is in and can't follow its group comes in again the same way, by the GroupInfo of that very group
//! only: another one is waited for, longer each time, and in the end it makes one of its own.

use super::{race, shared::Shared};
use crate::{
    Connection, chat,
    fault::{self, Fault},
    ids::{Expose, new_entry},
    problem::Problem,
    profile::{history::Event, restore, rooms, take, tasks},
};
use fastchat_e2e::{
    ConversationId,
    groups::{Entering, Error as GroupsError, Groups},
    mls::GroupError,
    store::Writer,
};
use fastchat_wire::{
    Code,
    chat::commit::{Commit, CommitLists},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// This device has a place already: an invitation is on its way, and is waited for so long, so many times.
const INVITATION_PAUSE: Duration = Duration::from_secs(3);
const INVITATION_TRIES: u32 = 3;
/// The newest batch of the archive is waited for so long: it may know what the server would rather have forgotten.
const ARCHIVE_PATIENCE: Duration = Duration::from_secs(2);
const ARCHIVE_LOOK: Duration = Duration::from_millis(50);

/// A GroupInfo that is no good, or of another group than the one that this device was in: how long the next one is
/// waited for, at most, doubled each time, and how often. A member's next commit brings one.
const BAD_INFORMATION_PAUSE_MS: u64 = 250;
const BAD_INFORMATION_TRIES: u32 = 7;
/// Who gave up, and told it, tries again so rarely while it runs: half of it at random, doubled each time up to the longest.
const RARELY_MS: u64 = 600_000;
const RARELY_DOUBLINGS_MAX: u32 = 4;
/// Where it takes longer than so, whoever reads does not wait for it.
const SLOW_MS: u64 = 2_000;
/// So many times in a row the others may go on without this device.
const UNNOTICED_TRIES: u32 = 8;

/// Why this device does not come in again by itself, and who can help.
const UNNOTICED: &str = "the others do not take this device in. Ask a member who is online to remove you and to add you again, or sign in \
                         on this device anew";

/// What a GroupInfo is that another device of the account has seen the end of.
const OLD_GROUP: &str = "the server gave a state of it that is older than what another device of yours has seen: don't trust \
                         this server before its operator explains";

const OLD_GROUP_CODE: &str = "old-group";

/// Where a conversation stands on this device.
enum Standing {
    /// It is in, or an invitation waits.
    Settled,
    /// A commit is under way.
    Entering(Entering),
    /// Nothing is known of it.
    Outside,
}

/// What is to be done about a conversation, and how often it was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Not before then.
    pub(super) at: Instant,
    /// Tries that came too early or lost a race.
    pub(super) tries: u32,
    /// Until then the archive is waited for.
    pub(super) archive_until: Instant,
    /// Nobody waits for it: the server has nothing by which this device could come in.
    pub(super) slow: bool,
}

impl Attempt {
    /// The first one, at once.
    pub(super) fn first() -> Self {
        let now = Instant::now();
        Self {
            at: now,
            tries: 0,
            archive_until: now + ARCHIVE_PATIENCE,
            slow: false,
        }
    }

    /// The first one where the invitation is no good: no other one is waited for.
    pub(super) fn uninvited() -> Self {
        Self {
            tries: INVITATION_TRIES,
            ..Self::first()
        }
    }

    fn after(self, pause: Duration) -> Self {
        Self {
            at: Instant::now() + pause,
            tries: self.tries.saturating_add(1),
            ..self
        }
    }

    /// The same try, now: there may be another GroupInfo.
    pub(super) fn at_once(&mut self) {
        self.at = Instant::now();
    }

    /// The same try, a little later.
    fn soon(self) -> Self {
        Self {
            at: Instant::now() + ARCHIVE_LOOK,
            ..self
        }
    }

    fn lost(self) -> Self {
        self.after(race::pause(self.tries, &mut rand::rng()))
    }

    /// After a GroupInfo that is no good.
    fn bad_information(self) -> Self {
        let longest = BAD_INFORMATION_PAUSE_MS << self.tries.min(BAD_INFORMATION_TRIES);
        Self {
            slow: longest > SLOW_MS,
            ..self.after(Duration::from_millis(rand::random_range(longest / 2..longest)))
        }
    }

    /// After it was given up and told: somebody's commit may have mended it since, hours later.
    fn rarely(self) -> Self {
        let doublings = self.tries.saturating_sub(BAD_INFORMATION_TRIES).min(RARELY_DOUBLINGS_MAX);
        let longest = RARELY_MS << doublings;
        Self {
            tries: self.tries.max(BAD_INFORMATION_TRIES).saturating_add(1),
            slow: true,
            ..self.after(Duration::from_millis(rand::random_range(longest / 2..longest)))
        }
    }

    /// There is another server: who tries rarely tries at once.
    fn on_arrival(&mut self) {
        if !self.has_patience() {
            self.at_once();
        }
    }

    /// Another GroupInfo may still come.
    fn has_patience(&self) -> bool {
        self.tries < BAD_INFORMATION_TRIES
    }
}

/// Asks for all conversations that the server has listed and this device is not in.
///
/// # Errors
/// The store.
pub(super) async fn look(shared: &Arc<Shared>) -> Result<(), Problem> {
    let mut listed = shared.founded();
    let outside = shared.profile.run(move |profile| {
        profile.look(|groups, tx| {
            let known = groups.conversations(tx)?;
            let invited = tasks::invitations(tx)?;
            let mut outside = Vec::new();
            listed.retain(|one| !known.contains(one) && !invited.iter().any(|(conversation, _)| conversation == one));
            for conversation in listed {
                // What this account was put out of is entered by invitation only.
                if !rooms::is_out(tx, conversation)? {
                    outside.push(conversation);
                }
            }
            for conversation in known {
                if groups.stranding(tx, conversation)?.is_some() {
                    outside.push(conversation);
                }
            }
            Ok(outside)
        })
    });
    let outside = outside.await?;
    if !outside.is_empty() {
        shared.ask(|errands| {
            for conversation in outside {
                errands.enter.entry(conversation).or_insert_with(Attempt::first).on_arrival();
            }
        });
    }
    Ok(())
}

/// Comes into one. Gives the next try, where one is needed.
///
/// # Errors
/// What a later try may not meet.
pub(super) async fn enter(
    shared: &Arc<Shared>,
    connection: &Connection,
    conversation: ConversationId,
    attempt: Attempt,
) -> Result<Option<Attempt>, Problem> {
    let entering = match standing(shared, conversation).await? {
        Standing::Settled => return Ok(None),
        Standing::Entering(entering) => entering,
        Standing::Outside => match begin(shared, connection, conversation, attempt).await? {
            Ok(entering) => entering,
            Err(next) => return Ok(next),
        },
    };
    fault::point(Fault::Entering);
    let request = Commit {
        conversation: conversation.wire(),
        entry: entering.entry.wire(),
        welcome_entry: None,
        epoch: entering.epoch,
    };
    let pieces = chat::CommitPieces {
        lists: CommitLists::default(),
        commit: entering.commit.into(),
        welcome: bytes::Bytes::new(),
        group_info: entering.group_info.into(),
    };
    match chat::commit(connection, &request, &pieces).await.map_err(Problem::from) {
        Ok(appended) => {
            fault::point(Fault::Entered);
            shared
                .profile
                .run(move |profile| profile.change(|groups, tx| take::entered(groups, tx, conversation, appended.seq, appended.at)))
                .await?;
            shared.handle.wake();
            shared.ask(|errands| {
                errands.behind.insert(conversation);
                (errands.acquaint, errands.wishes) = (true, true);
            });
            Ok(None)
        }
        Err(Problem::Refused(refused)) if refused.code == Code::EpochConflict => {
            give_up(shared, conversation, None).await?;
            Ok(Some(attempt.lost()))
        }
        Err(passing) if passing.is_passing() => Err(passing),
        Err(problem) => {
            tracing::warn!(%conversation, %problem, "the server does not let this device in");
            give_up(shared, conversation, None).await?;
            Ok(None)
        }
    }
}

async fn standing(shared: &Shared, conversation: ConversationId) -> Result<Standing, Problem> {
    let found = shared.profile.run(move |profile| {
        profile.look(|groups, tx| {
            let is_in = groups.mls_epoch(tx, conversation).is_ok() && groups.stranding(tx, conversation)?.is_none();
            let is_invited = tasks::invitations(tx)?.iter().any(|(invited, _)| *invited == conversation);
            if is_in || is_invited {
                return Ok(Standing::Settled);
            }
            Ok(match groups.entering(tx, conversation)? {
                Some(entering) => Standing::Entering(entering),
                None => Standing::Outside,
            })
        })
    });
    found.await
}

/// Makes the commit; or says when to try again, if ever.
async fn begin(
    shared: &Arc<Shared>,
    connection: &Connection,
    conversation: ConversationId,
    attempt: Attempt,
) -> Result<Result<Entering, Option<Attempt>>, Problem> {
    let reads_archive = shared.profile.run(|profile| profile.read(restore::is_before_first)).await?;
    if reads_archive && Instant::now() < attempt.archive_until {
        return Ok(Err(Some(attempt.soon())));
    }
    let (epoch, group_info) = match chat::group_info(connection, conversation.wire()).await.map_err(Problem::from) {
        // Not founded yet, or this account was removed meanwhile.
        Err(Problem::Refused(refused)) if matches!(refused.code, Code::NotFound | Code::NotMember) => return Ok(Err(None)),
        found => found?,
    };
    let waits = attempt.tries < INVITATION_TRIES;
    let made = shared.profile.run(move |profile| {
        profile.change(|groups, tx| {
            let stranded = groups.stranding(tx, conversation)?;
            let came_in = match stranded {
                None if waits && groups.has_a_place(&group_info)? => return Ok(None),
                None => come_in(groups, tx, conversation, &group_info, epoch),
                Some(stranded) if stranded.unnoticed > UNNOTICED_TRIES => return Err(Problem::declined("not-member", UNNOTICED)),
                Some(_) => groups
                    .enter(tx, conversation, new_entry(), &group_info, epoch)
                    .map_err(Problem::from),
            };
            match came_in {
                // Nobody who is in has brought a better one: this device makes one, and all come in again after it.
                Err(Problem::Groups(error)) if stranded.is_some() && is_bad_information(&error) && !attempt.has_patience() => {
                    tracing::warn!(%conversation, %error, "this device begins a conversation's keys anew");
                    Ok(Some(groups.enter_anew(tx, conversation, new_entry(), epoch)?))
                }
                came_in => came_in.map(Some),
            }
        })
    });
    match made.await {
        Ok(Some(entering)) => Ok(Ok(entering)),
        Ok(None) => Ok(Err(Some(attempt.after(INVITATION_PAUSE)))),
        // An invitation was faster, or another process of this profile.
        Err(Problem::Groups(GroupsError::Exists(_))) => Ok(Err(None)),
        Err(Problem::Groups(error)) if is_bad_information(&error) && attempt.has_patience() => {
            tracing::info!(%conversation, %error, "this device waits for a way into a conversation");
            Ok(Err(Some(attempt.bad_information())))
        }
        Err(problem) if matches!(problem, Problem::Groups(_) | Problem::Declined { .. }) => {
            tracing::warn!(%conversation, %problem, "this device can't come in by itself");
            let next = once_told(&problem, attempt);
            give_up(shared, conversation, Some(problem.to_string())).await?;
            Ok(Err(next))
        }
        Err(problem) => Err(problem),
    }
}

/// When a device tries again that has given up and told why. Pure but for the pause.
fn once_told(problem: &Problem, attempt: Attempt) -> Option<Attempt> {
    match problem {
        // What others do changes it: they commit, and the server has another GroupInfo then.
        Problem::Groups(GroupsError::Group(_) | GroupsError::OtherGroup) => Some(attempt.rarely()),
        Problem::Declined { code, .. } if code == OLD_GROUP_CODE => Some(attempt.rarely()),
        // A person has to do something.
        _ => None,
    }
}

/// A device that this group does not know: what the account's archive knows of the conversation counts.
fn come_in(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId, group_info: &[u8], epoch: u64) -> Result<Entering, Problem> {
    let known = restore::mls_epoch(tx, conversation)?;
    if groups.epoch_of(group_info)? < known {
        return Err(Problem::declined(OLD_GROUP_CODE, OLD_GROUP));
    }
    Ok(groups.enter(tx, conversation, new_entry(), group_info, epoch)?)
}

/// What the next one, which a member's commit brings, may do better: whoever committed last has made this one.
fn is_bad_information(error: &GroupsError) -> bool {
    use GroupError::{Broken, Unexpected, WrongConversation};
    match error {
        GroupsError::OtherGroup => true,
        GroupsError::Group(error) => matches!(error, Broken(_) | Unexpected(_) | WrongConversation),
        _ => false,
    }
}

/// Drops the commit; a cause is told, once.
async fn give_up(shared: &Shared, conversation: ConversationId, cause: Option<String>) -> Result<(), Problem> {
    let given_up = shared.profile.run(move |profile| {
        profile.change(|groups, tx| {
            groups.give_up_entering(tx, conversation)?;
            match cause {
                Some(cause) if !rooms::is_told_stuck(tx, conversation)? => {
                    rooms::tell_stuck(tx, conversation, true)?;
                    let cause = format!("this device can't join this conversation by itself: {cause}. A member who is online can add it");
                    take::add_own(groups, tx, conversation, crate::clock::now_ms(), Event::Unreadable(cause))
                }
                _ => Ok(()),
            }
        })
    });
    given_up.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_given_nothing_good_waits_longer_each_time_for_half_a_minute_at_most_and_keeps_nobody_waiting() {
        let (mut attempt, mut waited) = (Attempt::first(), Duration::ZERO);
        while attempt.has_patience() {
            let before = Instant::now();
            attempt = attempt.bad_information();
            waited += attempt.at - before;
        }
        assert_eq!(attempt.tries, BAD_INFORMATION_TRIES);
        assert!((15..35).contains(&waited.as_secs()), "{waited:?}");
        assert!(attempt.slow && !Attempt::first().bad_information().slow);
    }

    #[test]
    fn who_gave_up_tries_again_while_it_runs_rarely_and_not_ever_more_rarely() {
        let broken = Problem::Groups(GroupsError::OtherGroup);
        let mut attempt = Attempt::first();
        while attempt.has_patience() {
            attempt = attempt.bad_information();
        }
        let mut longest = Duration::ZERO;
        for tries in 0..20 {
            let before = Instant::now();
            attempt = once_told(&broken, attempt).unwrap();
            let pause = attempt.at - before;
            assert!(pause >= Duration::from_millis(RARELY_MS / 2), "try {tries} after {pause:?}");
            assert!(
                attempt.slow && !attempt.has_patience(),
                "nobody waits for it, and it is not begun anew"
            );
            longest = longest.max(pause);
        }
        let bound = Duration::from_millis(RARELY_MS << RARELY_DOUBLINGS_MAX);
        assert!((bound / 2..=bound + Duration::from_secs(1)).contains(&longest), "{longest:?}");
    }

    #[test]
    fn who_needs_a_person_does_not_try_again_by_itself() {
        let unnoticed = Problem::declined("not-member", UNNOTICED);
        assert_eq!(once_told(&unnoticed, Attempt::first()), None);
        let old = Problem::declined(OLD_GROUP_CODE, OLD_GROUP);
        assert!(once_told(&old, Attempt::first()).is_some());
    }

    #[test]
    fn on_another_server_who_tries_rarely_tries_at_once_and_whoever_is_in_a_race_keeps_their_pause() {
        let mut rare = Attempt::first().rarely();
        rare.on_arrival();
        assert!(rare.at <= Instant::now());
        let mut racing = Attempt::first().after(INVITATION_PAUSE);
        racing.on_arrival();
        assert!(racing.at > Instant::now());
    }

    #[test]
    fn lost_races_are_counted_and_do_not_put_off_for_long() {
        let mut attempt = Attempt::first();
        for tries in 1..40 {
            let before = Instant::now();
            attempt = attempt.lost();
            assert_eq!(attempt.tries, tries);
            assert!(attempt.at <= before + Duration::from_millis(2_560) + Duration::from_secs(1));
        }
    }
}
