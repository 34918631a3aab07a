//! Who is in a conversation: by the group's own state, and by the server's list.

use super::{
    claim::{self, Claimed, invites},
    join,
    shared::Shared,
};
use crate::{
    Connection, chat,
    fault::{self, Fault},
    ids::{Expose, Seal, new_entry},
    problem::Problem,
    profile::{rooms, take, tasks, trust},
};
use fastchat_e2e::{
    AccountId, ConversationId, DeviceId, EntryId,
    groups::{CommitIds, Error as GroupsError, Groups, View},
    mls::{GroupError, Intent, Kind, LEAVES_MAX, MemberDevice, Violation},
    store::Reader,
};
use fastchat_wire::{
    Code,
    chat::members::{Member, Role},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a commit is to do.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Add(Vec<Claimed>),
    Remove(Vec<AccountId>),
    Appoint(Vec<AccountId>),
    Dismiss(Vec<AccountId>),
    SendAway(Vec<DeviceId>),
    Renew,
}

impl Change {
    fn intent(&self) -> Intent<'_> {
        match self {
            Self::Add(claimed) => Intent::Add(invites(claimed)),
            Self::Remove(accounts) => Intent::Remove(accounts.clone()),
            Self::Appoint(accounts) => Intent::Appoint(accounts.clone()),
            Self::Dismiss(accounts) => Intent::Dismiss(accounts.clone()),
            Self::SendAway(devices) => Intent::SendAway(devices.clone()),
            Self::Renew => Intent::Renew,
        }
    }
}

/// New ids for a commit.
pub(super) fn commit_ids() -> CommitIds {
    CommitIds {
        commit: new_entry(),
        welcome: new_entry(),
        announcement: new_entry(),
    }
}

/// The group's members, where this device is in.
pub(super) async fn view(shared: &Shared, conversation: ConversationId) -> Result<Option<View>, Problem> {
    let found = shared
        .profile
        .run(move |profile| profile.look(|groups, tx| find_view(groups, tx, conversation)));
    found.await
}

/// The same within a transaction.
pub(super) fn find_view(groups: &mut Groups, tx: &Reader<'_>, conversation: ConversationId) -> Result<Option<View>, Problem> {
    match groups.view(tx, conversation) {
        Ok(view) => Ok(Some(view)),
        Err(GroupsError::Unknown(_) | GroupsError::Out) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether this device can't follow a group at the moment.
async fn is_stranded(shared: &Shared, conversation: ConversationId) -> Result<bool, Problem> {
    let stranding = shared
        .profile
        .run(move |profile| profile.look(|groups, tx| Ok(groups.stranding(tx, conversation)?)));
    Ok(stranding.await?.is_some())
}

/// Whether a conversation is the direct chat with an account: by the group's own state, whatever the server calls it.
pub(super) fn is_direct_with(view: &View, peer: AccountId) -> bool {
    view.charter.kind == Kind::Direct && take::accounts(view).contains(&peer)
}

/// Asks whether this account is still in; where it isn't, that is noted.
///
/// # Errors
/// The network, or the store.
pub(super) async fn verify(shared: &Arc<Shared>, connection: &Connection, conversation: ConversationId) -> Result<(), Problem> {
    let is_out = shared
        .profile
        .run(move |profile| profile.read(|tx| rooms::is_out(tx, conversation)));
    if is_out.await? {
        return Ok(());
    }
    match chat::members(connection, conversation.wire(), None).await.map_err(Problem::from) {
        Ok(_) => Ok(()),
        Err(Problem::Refused(refused)) if refused.code == Code::NotMember => {
            // What comes up to the removal can still be read: the commit that did it says by whom.
            join::catch_up(shared, connection, conversation).await?;
            shared
                .profile
                .run(move |profile| profile.change(|groups, tx| take::shut_out(groups, tx, conversation, crate::clock::now_ms())))
                .await
        }
        Err(problem) => Err(problem),
    }
}

/// Adds devices that have no leaf yet, and (as an admin) removes the leaves of accounts that left.
///
/// # Errors
/// The network, or the store.
pub(super) async fn compare(shared: &Arc<Shared>, connection: &Connection, conversation: ConversationId) -> Result<(), Problem> {
    let Some(view) = view(shared, conversation).await? else {
        return Ok(());
    };
    // A group whose first commit is still on its way, or that others founded; or one that it can't follow.
    if view.mls_epoch == 0 || is_stranded(shared, conversation).await? {
        return Ok(());
    }
    let listed = match list(connection, conversation).await {
        Err(Problem::Refused(refused)) if refused.code == Code::NotMember => {
            shared.ask(|errands| errands.verify.extend([conversation]));
            return Ok(());
        }
        listed => listed?,
    };
    let strangers = strangers(&listed, &view);
    if !strangers.is_empty() {
        tell_of_strangers(shared, connection, conversation, strangers).await?;
    }
    let leaves: BTreeSet<DeviceId> = view.members.iter().map(|member| member.subject().device).collect();
    let accounts = take::accounts(&view);
    let me = shared.profile.run(|profile| profile.look(|groups, _| Ok(groups.me()))).await?;

    let is_admin = view.charter.is_admin(me.account);
    let gone: Vec<AccountId> = accounts
        .iter()
        .filter(|account| !listed.contains_key(account) && **account != me.account)
        .copied()
        .collect();
    if view.charter.kind == Kind::Group && is_admin && !gone.is_empty() {
        return commit(shared, conversation, Change::Remove(gone), None).await.map(drop);
    }
    let mut lacking: Vec<(AccountId, DeviceId)> = listed
        .iter()
        .filter(|(account, _)| accounts.contains(account))
        .flat_map(|(account, member)| member.devices.iter().map(|device| (*account, device.sealed())))
        .filter(|(account, device)| {
            let leaf = MemberDevice {
                account: *account,
                device: *device,
            };
            !leaves.contains(device) && !view.charter.is_gone(leaf)
        })
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    lacking.truncate(LEAVES_MAX.saturating_sub(leaves.len()));
    if lacking.is_empty() {
        tracing::warn!(%conversation, "new devices can't be added: the group has as many as it can have");
        return Ok(());
    }
    let claimed = claim::claim(shared, connection, conversation, &[], &lacking).await?;
    if claimed.is_empty() {
        // It has not published its key packages yet: the next look finds it.
        return Ok(());
    }
    match commit(shared, conversation, Change::Add(claimed.clone()), None).await {
        // One of them can't be added (expired, or of a version with other capabilities): that keeps no other one out.
        Err(Problem::Groups(GroupsError::Group(error))) if claimed.len() > 1 => {
            tracing::warn!(%error, %conversation, "not all new devices can be added at once");
            for one in claimed {
                match commit(shared, conversation, Change::Add(vec![one]), None).await {
                    Ok(_) => return Ok(()),
                    Err(Problem::Groups(GroupsError::Group(_))) => {}
                    Err(problem) => return Err(problem),
                }
            }
            Ok(())
        }
        made => made.map(drop),
    }
}

/// Whom the server counts among the members, and the group does not know, with the names that the server gives them.
fn strangers(listed: &BTreeMap<AccountId, Member>, view: &View) -> BTreeMap<AccountId, String> {
    let accounts = take::accounts(view);
    let strangers = listed.iter().filter(|(account, _)| !accounts.contains(account));
    strangers
        .map(|(account, member)| (*account, member.username.as_str().to_owned()))
        .collect()
}

/// Tells of those whom nobody has added. They may have been added since the group was looked at, or removed since the
/// list was: so both are looked at again.
async fn tell_of_strangers(
    shared: &Arc<Shared>,
    connection: &Connection,
    conversation: ConversationId,
    mut suspected: BTreeMap<AccountId, String>,
) -> Result<(), Problem> {
    join::catch_up(shared, connection, conversation).await?;
    let listed = list(connection, conversation).await?;
    let Some(view) = view(shared, conversation).await? else {
        return Ok(());
    };
    let strangers = strangers(&listed, &view);
    suspected.retain(|account, _| strangers.contains_key(account));
    let told = shared.profile.run(move |profile| {
        profile.change(|groups, tx| {
            for (account, username) in suspected {
                if trust::is_new_stranger(tx, conversation, account)? {
                    let alarm = take::counted_stranger(&username);
                    take::alarm(groups, tx, conversation, alarm, crate::clock::now_ms())?;
                }
            }
            Ok(())
        })
    });
    told.await
}

/// Refuses what a conversation has no room for, before key packages are claimed for it.
pub(super) fn check_room(leaves: usize, coming: usize) -> Result<(), Problem> {
    match leaves + coming > LEAVES_MAX {
        true => Err(GroupError::from(Violation::Full).into()),
        false => Ok(()),
    }
}

/// Makes a commit and keeps it to be sent; gives its entry. None where one is under way already, or this device can't
/// follow the group: what comes of that is to be looked at first; and none where it is for a wish that is one no longer.
pub(super) async fn commit(
    shared: &Shared,
    conversation: ConversationId,
    change: Change,
    wish: Option<EntryId>,
) -> Result<Option<EntryId>, Problem> {
    let ids = commit_ids();
    let made = shared.profile.run(move |profile| {
        profile.change(|groups, tx| {
            let has_to_wait = groups.commit_under_way(tx, conversation)?.is_some() || groups.stranding(tx, conversation)?.is_some();
            if has_to_wait || tasks::is_over(tx, wish)? {
                return Ok(None);
            }
            groups.commit(tx, conversation, &change.intent(), ids, crate::clock::now())?;
            Ok(Some(ids.commit))
        })
    });
    let made = made.await?;
    if made.is_some() {
        fault::point(Fault::Committed);
        shared.handle.wake();
    }
    Ok(made)
}

/// The server's list, whole.
pub(super) async fn list(connection: &Connection, conversation: ConversationId) -> Result<BTreeMap<AccountId, Member>, Problem> {
    let mut listed = BTreeMap::new();
    let mut after = None;
    loop {
        let (page, more) = chat::members(connection, conversation.wire(), after).await?;
        after = page.last().map(|member| member.account);
        let known = listed.len();
        listed.extend(page.into_iter().map(|member| (member.account.sealed(), member)));
        if !more {
            return Ok(listed);
        }
        if listed.len() == known {
            return Err(Problem::CannotConnect("the server's list of members has no end".to_owned()));
        }
    }
}

/// Makes sure that the server lets an account do what admins do, or no longer.
pub(super) async fn grant(connection: &Connection, conversation: ConversationId, account: AccountId, admin: bool) -> Result<(), Problem> {
    let role = if admin { Role::Admin } else { Role::Member };
    Ok(chat::grant(connection, conversation.wire(), account.wire(), role).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_filled_to_its_bound_and_not_one_beyond() {
        assert!(check_room(1, LEAVES_MAX - 1).is_ok());
        let full = check_room(1, LEAVES_MAX).unwrap_err();
        assert_eq!((full.code(), full.exit_code()), ("group-full", 1));
        assert!(full.to_string().contains("2048 devices: remove members first"), "{full}");
    }
}
