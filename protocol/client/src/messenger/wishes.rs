//! Changes that somebody wants, until they are so.
//!
//! ```text
//!  wish ──> is it so? ──yes──> done
//!             │no
//!             ├─ a commit is under way ──> wait for what it leaves
//!             ├─ the last one lost ──────> let the others go first, for a while
//!             ├─ refused for good ───────> refused
//!             └─ make the next step ─────> look again
//! ```
//!
//! A wish says what shall be, not what to do: a commit that another one overtook is simply made again from the state
//! that the other one left, and a restart goes on where the last run was killed.

use super::{
    claim,
    enter::Attempt,
    members::{self, Change},
    race,
    shared::Shared,
};
use crate::{
    Connection, chat,
    fault::{self, Fault},
    ids::Expose,
    problem::Problem,
    profile::{
        rooms, take,
        tasks::{self, Outcome, Wanted, Wish},
    },
};
use fastchat_e2e::{
    AccountId, ConversationId, Credential, DeviceId, EntryId, Subject,
    groups::{Error as GroupsError, View},
    mls::Kind,
};
use fastchat_wire::{Code, chat::create::ConversationKind};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use tokio::time::Instant;

/// Wishes that wait to come true.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// What was done for each, in this run.
    tries: HashMap<EntryId, Tries>,
    waiting: bool,
}

/// What was done for a wish so far.
#[derive(Debug, Default)]
struct Tries {
    /// The commits that were made for it.
    commits: Vec<EntryId>,
    /// How many of them others have overtaken.
    lost: u32,
    /// Whoever lost lets the others go first: no commit before then.
    not_before: Option<Instant>,
}

/// Where a wish stands.
enum Step {
    /// It is so.
    Done,
    /// Something is on its way.
    Waiting,
    /// A commit was made for it.
    Committed(EntryId),
    /// The next step can be taken at once.
    Again,
}

/// What this device knows of a conversation.
struct Standing {
    view: Option<View>,
    under_way: bool,
    stranded: bool,
    out: bool,
}

impl Wishes {
    /// True where nothing is waited for.
    pub(super) fn is_empty(&self) -> bool {
        !self.waiting
    }

    /// When the next pause of one that lost a race is over.
    pub(super) fn next_try(&self) -> Option<Instant> {
        let now = Instant::now();
        let pauses = self.tries.values().filter_map(|tries| tries.not_before);
        pauses.filter(|until| *until > now).min()
    }

    /// Whether such a pause is over.
    pub(super) fn is_due(&self) -> bool {
        let now = Instant::now();
        self.tries.values().any(|tries| tries.not_before.is_some_and(|until| until <= now))
    }

    /// Takes each wish as far as it goes now.
    ///
    /// # Errors
    /// What a later try may not meet.
    pub(super) async fn pursue(&mut self, shared: &Arc<Shared>, connection: &Connection) -> Result<(), Problem> {
        let wishes = shared.profile.run(|profile| profile.read(tasks::wishes)).await?;
        self.waiting = !wishes.is_empty();
        let alive: HashSet<EntryId> = wishes.iter().map(|(id, _)| *id).collect();
        self.tries.retain(|id, _| alive.contains(id));
        let mut passing = None;
        for (id, wish) in wishes {
            let outcome = match self.follow(shared, connection, id, &wish).await {
                Ok(false) => continue,
                Ok(true) => Outcome::Done,
                // The others may fare better.
                Err(problem) if problem.is_passing() => {
                    passing = Some(problem);
                    continue;
                }
                Err(problem @ Problem::Store(_)) => return Err(problem),
                Err(problem) => {
                    tracing::info!(%problem, conversation = %wish.conversation, "a change is not made");
                    Outcome::refused(&problem)
                }
            };
            self.tries.remove(&id);
            shared.profile.run(move |profile| profile.fulfilled(id, &wish, &outcome)).await?;
        }
        passing.map_or(Ok(()), Err)
    }

    /// True where it has come true.
    async fn follow(&mut self, shared: &Arc<Shared>, connection: &Connection, id: EntryId, wish: &Wish) -> Result<bool, Problem> {
        loop {
            let standing = standing(shared, wish.conversation).await?;
            let has_to_wait = standing.under_way || (standing.stranded && wish.what != Wanted::Leave);
            if has_to_wait || self.pauses(shared, id).await? {
                return Ok(false);
            }
            match step(shared, connection, id, wish, &standing).await? {
                Step::Done => return Ok(true),
                Step::Waiting => return Ok(false),
                Step::Again => {}
                Step::Committed(commit) => {
                    self.tries.entry(id).or_default().commits.push(commit);
                    shared.handle.wake();
                    return Ok(false);
                }
            }
        }
    }

    /// Whether others are to go first: its commits lost the race. One that was refused for good refuses the wish.
    async fn pauses(&mut self, shared: &Shared, id: EntryId) -> Result<bool, Problem> {
        let Some(tries) = self.tries.get_mut(&id) else {
            return Ok(false);
        };
        let mut lost = 0;
        for commit in tries.commits.iter().copied() {
            let outcome = shared.profile.run(move |profile| profile.read(|tx| tasks::outcome(tx, commit)));
            match outcome.await? {
                Some(Outcome::Refused { code, message }) => return Err(Problem::declined(code, message)),
                Some(Outcome::Sent { .. } | Outcome::Done) => {}
                // None is under way.
                None => lost += 1,
            }
        }
        let now = Instant::now();
        if lost > tries.lost {
            tries.lost = lost;
            tries.not_before = Some(now + race::pause(lost, &mut rand::rng()));
        }
        let pauses = tries.not_before.is_some_and(|until| now < until);
        if !pauses {
            tries.not_before = None;
        }
        Ok(pauses)
    }
}

/// All of it from one state of the profile: another process of it may be at the same wish.
async fn standing(shared: &Shared, conversation: ConversationId) -> Result<Standing, Problem> {
    let found = shared.profile.run(move |profile| {
        profile.look(|groups, tx| {
            Ok(Standing {
                view: members::find_view(groups, tx, conversation)?,
                under_way: groups.commit_under_way(tx, conversation)?.is_some(),
                stranded: groups.stranding(tx, conversation)?.is_some(),
                out: rooms::is_out(tx, conversation)?,
            })
        })
    });
    found.await
}

/// The next step towards a wish, with no commit under way.
async fn step(shared: &Arc<Shared>, connection: &Connection, id: EntryId, wish: &Wish, standing: &Standing) -> Result<Step, Problem> {
    let conversation = wish.conversation;
    match (&wish.what, &standing.view) {
        (Wanted::Leave, _) if standing.out => Ok(Step::Done),
        (Wanted::Direct(peer), Some(view)) if view.mls_epoch > 0 && !members::is_direct_with(view, *peer) => Err(Problem::declined(
            "bad-account",
            "the server names another conversation than the one with this person: nothing was sent; don't trust it before its operator explains",
        )),
        (Wanted::Direct(_) | Wanted::Group(..), Some(view)) if view.mls_epoch > 0 => Ok(Step::Done),
        (Wanted::Direct(_) | Wanted::Group(..), Some(_)) => {
            // Its first commit was refused, or never made: begun anew.
            let begun_anew = shared.profile.run(move |profile| {
                profile.change(|groups, tx| {
                    let is_new = members::find_view(groups, tx, conversation)?.is_some_and(|view| view.mls_epoch == 0);
                    if is_new && groups.commit_under_way(tx, conversation)?.is_none() {
                        take::abandon_founding(groups, tx, conversation)?;
                    }
                    Ok(())
                })
            });
            begun_anew.await?;
            Ok(Step::Again)
        }
        (Wanted::Direct(peer), None) => found_direct(shared, connection, id, conversation, *peer).await,
        (Wanted::Group(name, members), None) => found_group(shared, connection, id, conversation, name, members).await,
        (Wanted::SendAway(_), None) => Ok(Step::Done),
        (_, None) => Err(Problem::declined(
            "not-member",
            "you are not in this conversation, or not on this device: ask a member to be added",
        )),
        (Wanted::Add(accounts), Some(view)) => {
            let present = take::accounts(view);
            let lacking: Vec<AccountId> = accounts.iter().filter(|account| !present.contains(account)).copied().collect();
            if lacking.is_empty() {
                return Ok(Step::Done);
            }
            members::check_room(view.members.len(), lacking.len())?;
            let claimed = claim::claim(shared, connection, conversation, &lacking, &[]).await?;
            commit(shared, id, conversation, Change::Add(claimed)).await
        }
        (Wanted::Remove(accounts), Some(view)) => {
            let present = take::accounts(view);
            let left: Vec<AccountId> = accounts.iter().filter(|account| present.contains(account)).copied().collect();
            if left.is_empty() {
                return Ok(Step::Done);
            }
            commit(shared, id, conversation, Change::Remove(left)).await
        }
        (Wanted::Promote(accounts), Some(view)) => promote(shared, connection, id, conversation, view, accounts).await,
        (Wanted::Demote(accounts), Some(view)) => {
            let admins: Vec<AccountId> = accounts
                .iter()
                .filter(|account| view.charter.is_admin(**account))
                .copied()
                .collect();
            if !admins.is_empty() {
                return commit(shared, id, conversation, Change::Dismiss(admins)).await;
            }
            for account in accounts {
                members::grant(connection, conversation, *account, false).await?;
            }
            shared.handle.touch(conversation.wire()).await;
            Ok(Step::Done)
        }
        (Wanted::SendAway(devices), Some(view)) => {
            let own = shared.profile.run(|profile| profile.look(|groups, _| Ok(groups.me()))).await?;
            let is_meant = |subject: &&Subject| subject.account == own.account && devices.contains(&subject.device);
            let left: Vec<DeviceId> = view
                .members
                .iter()
                .map(Credential::subject)
                .filter(is_meant)
                .map(|subject| subject.device)
                .collect();
            if left.is_empty() {
                return Ok(Step::Done);
            }
            commit(shared, id, conversation, Change::SendAway(left)).await
        }
        (Wanted::Leave, Some(view)) => leave(shared, connection, id, conversation, view).await,
    }
}

async fn commit(shared: &Shared, wish: EntryId, conversation: ConversationId, change: Change) -> Result<Step, Problem> {
    Ok(match members::commit(shared, conversation, change, Some(wish)).await? {
        Some(entry) => Step::Committed(entry),
        None => Step::Waiting,
    })
}

/// The server lets them first, the group's charter follows.
async fn promote(
    shared: &Arc<Shared>,
    connection: &Connection,
    id: EntryId,
    conversation: ConversationId,
    view: &View,
    accounts: &[AccountId],
) -> Result<Step, Problem> {
    let plain: Vec<AccountId> = accounts
        .iter()
        .filter(|account| !view.charter.is_admin(**account))
        .copied()
        .collect();
    if plain.is_empty() {
        return Ok(Step::Done);
    }
    for account in &plain {
        members::grant(connection, conversation, *account, true).await?;
    }
    shared.handle.touch(conversation.wire()).await;
    commit(shared, id, conversation, Change::Appoint(plain)).await
}

/// A group is never left without an admin: the last one makes another one first.
async fn leave(
    shared: &Arc<Shared>,
    connection: &Connection,
    id: EntryId,
    conversation: ConversationId,
    view: &View,
) -> Result<Step, Problem> {
    if view.charter.kind == Kind::Direct {
        return Err(Problem::declined(
            "forbidden",
            "a direct chat can't be left: nobody can be added to it either",
        ));
    }
    let me = shared.profile.run(|profile| profile.look(|groups, _| Ok(groups.me()))).await?;
    if view.charter.admins == [me.account] {
        // Somebody who is still in: the leaves of those who left stay until an admin removes them.
        let listed = members::list(connection, conversation).await?;
        let present = take::accounts(view);
        let successor = listed.keys().find(|account| **account != me.account && present.contains(account));
        if let Some(successor) = successor {
            return promote(shared, connection, id, conversation, view, &[*successor]).await;
        }
    }
    match chat::leave(connection, conversation.wire()).await.map_err(Problem::from) {
        // Left before, and killed before it was noted.
        Err(Problem::Refused(refused)) if refused.code == Code::NotMember => {}
        left => left?,
    }
    shared
        .profile
        .run(move |profile| profile.change(|groups, tx| take::shut_out(groups, tx, conversation, crate::clock::now_ms())))
        .await?;
    Ok(Step::Done)
}

/// The pair's conversation exists on the server; nobody has founded its group yet, or the other side has.
async fn found_direct(
    shared: &Arc<Shared>,
    connection: &Connection,
    id: EntryId,
    conversation: ConversationId,
    peer: AccountId,
) -> Result<Step, Problem> {
    match chat::group_info(connection, conversation.wire()).await.map_err(Problem::from) {
        Ok((0, _)) => {}
        // The invitation is on its way; or this device came later, and comes in by itself.
        Ok(_) => {
            shared.ask(|errands| _ = errands.enter.entry(conversation).or_insert_with(Attempt::first));
            return Ok(Step::Waiting);
        }
        Err(Problem::Refused(refused)) if refused.code == Code::NotFound => {}
        Err(problem) => return Err(problem),
    }
    found(shared, connection, id, conversation, Kind::Direct, &[peer], None).await
}

async fn found_group(
    shared: &Arc<Shared>,
    connection: &Connection,
    id: EntryId,
    conversation: ConversationId,
    name: &str,
    members: &[AccountId],
) -> Result<Step, Problem> {
    // Again after a crash: repeating it is allowed.
    chat::create(connection, conversation.wire(), ConversationKind::Group, Vec::new()).await?;
    found(shared, connection, id, conversation, Kind::Group, members, Some(name.to_owned())).await
}

/// The group with its first members, the own account's other devices among them.
async fn found(
    shared: &Arc<Shared>,
    connection: &Connection,
    id: EntryId,
    conversation: ConversationId,
    kind: Kind,
    members: &[AccountId],
    name: Option<String>,
) -> Result<Step, Problem> {
    let me = shared.profile.run(|profile| profile.look(|groups, _| Ok(groups.me()))).await?;
    let own = chat::lookup_account(connection, me.account.wire()).await?;
    let own: Vec<(AccountId, DeviceId)> = own
        .devices
        .iter()
        .map(|device| (me.account, crate::ids::Seal::sealed(device.device)))
        .filter(|(_, device)| *device != me.device)
        .collect();
    members::check_room(1 + own.len(), members.len())?;
    let claimed = claim::claim(shared, connection, conversation, members, &own).await?;
    let ids = members::commit_ids();
    let peer = members.first().copied().filter(|_| kind == Kind::Direct);
    let founded = shared
        .profile
        .run(move |profile| {
            profile.change(|groups, tx| {
                if tasks::is_over(tx, Some(id))? {
                    return Ok(false);
                }
                rooms::enter(tx, conversation, peer)?;
                if let Some(name) = &name {
                    rooms::rename(tx, conversation, name)?;
                }
                let me = groups.me().account;
                rooms::save_admins(tx, conversation, if kind == Kind::Group { std::slice::from_ref(&me) } else { &[] })?;
                groups.create(tx, conversation, kind, claim::invites(&claimed), ids, crate::clock::now())?;
                Ok(true)
            })
        })
        .await;
    match founded {
        Ok(true) => {
            fault::point(Fault::Committed);
            Ok(Step::Committed(ids.commit))
        }
        // Given up meanwhile.
        Ok(false) => Ok(Step::Waiting),
        // Another process of this profile was faster.
        Err(Problem::Groups(GroupsError::Exists(_))) => Ok(Step::Again),
        Err(problem) => Err(problem),
    }
}
