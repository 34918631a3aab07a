//! Who may do what to a conversation: pure decisions over its roster.
//!
//! Each decider takes the state as it stands under the log's lock and answers
//! with the changes to write, in the order of the `member` entry that tells of
//! them, or with a refusal. No changes: no `member` entry.
//!
//! ```text
//!            direct                    group
//!  create    exactly one other         the creator is the first admin
//!  commit    no add, no remove         add and remove of others: admins
//!  grant     no roles                  admins; the last one stays
//!  leave     forbidden: it would be    anybody; where the last admin leaves, the
//!            lost to its pair          longest-standing member becomes admin
//! ```

use super::Denied;
use fastchat_wire::{
    AccountId,
    chat::{
        create::ConversationKind,
        entry::{Change, MemberChange},
        members::Role,
    },
    limits::KIND_BYTES_MAX,
};
use std::collections::BTreeSet;

/// Kinds of entries that only the server writes.
pub(crate) const SERVER_KINDS: [&str; 3] = ["commit", "welcome", "member"];

/// A conversation as the deciders see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) kind: ConversationKind,
    pub(crate) epoch: u64,
    /// The present members, each once: all of them, or those whom it [`concerned`].
    pub(crate) members: Vec<Membership>,
}

/// A present member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) account: AccountId,
    pub(crate) role: Role,
    /// The first entry that it may read: who has the smallest stands longest.
    pub(crate) from_seq: u64,
}

/// A kind that a client may append: 1 to 32 of `a-z-`, none of the server's own.
pub(crate) fn check_kind(kind: &str) -> Result<(), Denied> {
    let token = (1..=KIND_BYTES_MAX).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    if !token {
        return Err(Denied::BadRequest("a kind is 1 to 32 of a-z and -"));
    }
    if SERVER_KINDS.contains(&kind) {
        return Err(Denied::BadRequest("that kind is only written by the server"));
    }
    Ok(())
}

/// The first `member` entry of a new conversation.
pub(crate) fn create(kind: ConversationKind, creator: AccountId, others: &[AccountId]) -> Result<Vec<MemberChange>, Denied> {
    let distinct: BTreeSet<_> = others.iter().collect();
    if distinct.len() != others.len() || distinct.contains(&creator) {
        return Err(Denied::BadRequest("name each other member once, and not yourself"));
    }
    let first = match kind {
        ConversationKind::Direct if others.len() != 1 => {
            return Err(Denied::BadRequest("a direct conversation has exactly one other member"));
        }
        ConversationKind::Direct => Role::Member,
        ConversationKind::Group => Role::Admin,
    };
    let creator = added(creator, first);
    Ok(std::iter::once(creator)
        .chain(others.iter().map(|other| added(*other, Role::Member)))
        .collect())
}

/// Whose membership a commit is decided by, so that its cost does not grow with the group; none where it is everybody's:
/// an author who goes may be the last admin. `welcomed` are the owners of the devices that it welcomes.
pub(crate) fn concerned(actor: AccountId, add: &[AccountId], remove: &[AccountId], welcomed: &[AccountId]) -> Option<BTreeSet<AccountId>> {
    let named = [add, remove, welcomed].concat();
    (!remove.contains(&actor)).then(|| named.into_iter().chain([actor]).collect())
}

/// The changes of a commit that leaves `epoch`. Re-adding a member and removing
/// a stranger change nothing.
pub(crate) fn commit(
    state: &State,
    actor: AccountId,
    epoch: u64,
    add: &[AccountId],
    remove: &[AccountId],
) -> Result<Vec<MemberChange>, Denied> {
    let acting = state.member(actor)?;
    if epoch != state.epoch {
        return Err(Denied::EpochConflict { current: state.epoch });
    }
    let leaves = remove.contains(&actor);
    let add: BTreeSet<_> = add.iter().copied().collect();
    let remove: BTreeSet<_> = remove.iter().copied().collect();
    if !add.is_disjoint(&remove) {
        return Err(Denied::BadRequest("an account can't be added and removed by the same commit"));
    }
    if state.kind == ConversationKind::Direct && !(add.is_empty() && remove.is_empty()) {
        return Err(Denied::Forbidden("a direct conversation keeps its two accounts"));
    }
    if acting.role != Role::Admin && add.union(&remove).any(|account| *account != actor) {
        return Err(Denied::Forbidden("only an admin adds or removes accounts"));
    }
    let removed = remove.into_iter().filter(|account| state.find(*account).is_some());
    let mut changes: Vec<_> = removed
        .map(|account| {
            if account == actor {
                change(account, Change::Left)
            } else {
                change(account, Change::Removed)
            }
        })
        .collect();
    let joining = add.into_iter().filter(|account| state.find(*account).is_none());
    changes.extend(joining.map(|account| added(account, Role::Member)));
    if leaves {
        // Else its author is an admin who stays, or takes nobody out.
        changes.extend(successor(state, &changes));
    }
    Ok(changes)
}

/// The change of a grant; none where the role is the same.
pub(crate) fn grant(state: &State, actor: AccountId, account: AccountId, role: Role) -> Result<Vec<MemberChange>, Denied> {
    let acting = state.member(actor)?;
    if state.kind == ConversationKind::Direct {
        return Err(Denied::Forbidden("a direct conversation has no roles"));
    }
    if acting.role != Role::Admin {
        return Err(Denied::Forbidden("only an admin grants roles"));
    }
    let member = state.find(account).ok_or(Denied::NotFound("that account is not a member"))?;
    if member.role == role {
        return Ok(Vec::new());
    }
    if role == Role::Member && state.admins().all(|admin| admin.account == account) {
        return Err(Denied::Forbidden("the last admin stays admin: make another member admin first"));
    }
    Ok(vec![MemberChange {
        account,
        change: Change::Role,
        role: Some(role),
    }])
}

/// The changes of a leave.
pub(crate) fn leave(state: &State, actor: AccountId) -> Result<Vec<MemberChange>, Denied> {
    state.member(actor)?;
    if state.kind == ConversationKind::Direct {
        return Err(Denied::Forbidden("a direct conversation keeps its two accounts"));
    }
    let mut changes = vec![change(actor, Change::Left)];
    changes.extend(successor(state, &changes));
    Ok(changes)
}

/// Where no admin stays among the members: the longest-standing of those that
/// stay, else of those that just came, becomes one.
fn successor(state: &State, changes: &[MemberChange]) -> Option<MemberChange> {
    let gone = |account: AccountId| {
        let ends = |c: &MemberChange| c.account == account && matches!(c.change, Change::Left | Change::Removed);
        changes.iter().any(ends)
    };
    if state.kind == ConversationKind::Direct || state.admins().any(|admin| !gone(admin.account)) {
        return None;
    }
    let staying = state.members.iter().filter(|member| !gone(member.account));
    let eldest = staying
        .min_by_key(|member| (member.from_seq, member.account))
        .map(|member| member.account);
    let newest = || changes.iter().find(|c| c.change == Change::Added).map(|c| c.account);
    eldest.or_else(newest).map(|account| MemberChange {
        account,
        change: Change::Role,
        role: Some(Role::Admin),
    })
}

impl State {
    fn find(&self, account: AccountId) -> Option<&Membership> {
        self.members.iter().find(|member| member.account == account)
    }

    fn member(&self, account: AccountId) -> Result<&Membership, Denied> {
        self.find(account).ok_or(Denied::NotMember)
    }

    fn admins(&self) -> impl Iterator<Item = &Membership> {
        self.members.iter().filter(|member| member.role == Role::Admin)
    }

    /// Who is a member after the changes.
    pub(crate) fn after(&self, changes: &[MemberChange]) -> BTreeSet<AccountId> {
        let mut members: BTreeSet<_> = self.members.iter().map(|member| member.account).collect();
        for change in changes {
            match change.change {
                Change::Added => drop(members.insert(change.account)),
                Change::Removed | Change::Left => drop(members.remove(&change.account)),
                Change::Role => {}
            }
        }
        members
    }
}

fn added(account: AccountId, role: Role) -> MemberChange {
    MemberChange {
        account,
        change: Change::Added,
        role: Some(role),
    }
}

fn change(account: AccountId, change: Change) -> MemberChange {
    MemberChange {
        account,
        change,
        role: None,
    }
}

#[cfg(test)]
mod tests;
