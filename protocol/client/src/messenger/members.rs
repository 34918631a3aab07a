//! Who is in a conversation: by the group's own state, and by the server's list.

use super::{join, shared::Shared};
use crate::{
    Connection, chat,
    ids::{Expose, Seal, new_entry},
    problem::Problem,
    profile::{contacts, take},
};
use bytes::Bytes;
use fastchat_e2e::{
    AccountId, ConversationId, Credential, DeviceId, EntryId,
    groups::{CommitIds, Error as GroupsError, Groups, View},
    mls::{GroupError, Intent, Invite, Kind, inspect_key_package},
    store::Reader,
};
use fastchat_wire::{
    Code,
    chat::{
        keys_claim::KeysClaimLists,
        members::{Member, Role},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Accounts or devices whose key packages are claimed at once.
const CLAIM_MAX: usize = 64;

/// A device that can be added: whose it is, and what adds it.
#[derive(Debug, Clone)]
pub(super) struct Claimed {
    pub(super) account: AccountId,
    pub(super) key_package: Bytes,
}

/// What a commit is to do.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Add(Vec<Claimed>),
    Remove(Vec<AccountId>),
    Appoint(Vec<AccountId>),
    Dismiss(Vec<AccountId>),
    Renew,
}

impl Change {
    fn intent(&self) -> Intent<'_> {
        match self {
            Self::Add(claimed) => Intent::Add(invites(claimed)),
            Self::Remove(accounts) => Intent::Remove(accounts.clone()),
            Self::Appoint(accounts) => Intent::Appoint(accounts.clone()),
            Self::Dismiss(accounts) => Intent::Dismiss(accounts.clone()),
            Self::Renew => Intent::Renew,
        }
    }
}

/// As the groups want it.
pub(super) fn invites(claimed: &[Claimed]) -> Vec<Invite<'_>> {
    claimed
        .iter()
        .map(|claimed| Invite {
            account: claimed.account,
            key_package: &claimed.key_package,
        })
        .collect()
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

/// Claims a key package of each device of these accounts, and of these devices. Each is checked against its account's pin.
///
/// # Errors
/// `no-keys` where an account has no device that can be added; `identity-changed`; the network.
pub(super) async fn claim(
    shared: &Shared,
    connection: &Connection,
    accounts: &[AccountId],
    devices: &[(AccountId, DeviceId)],
) -> Result<Vec<Claimed>, Problem> {
    let mut claimed = Vec::new();
    for some in accounts.chunks(CLAIM_MAX) {
        let lists = KeysClaimLists {
            accounts: some.iter().map(|account| account.wire()).collect(),
            devices: Vec::new(),
        };
        claimed.extend(chat::keys_claim(connection, &lists).await?);
    }
    for some in devices.chunks(CLAIM_MAX) {
        let lists = KeysClaimLists {
            accounts: Vec::new(),
            devices: some.iter().map(|(_, device)| device.wire()).collect(),
        };
        claimed.extend(chat::keys_claim(connection, &lists).await?);
    }
    let wanted: BTreeSet<AccountId> = accounts
        .iter()
        .copied()
        .chain(devices.iter().map(|(account, _)| *account))
        .collect();
    let asked = accounts.to_vec();
    let checked = shared.profile.run(move |profile| {
        let checked: Vec<Claimed> = claimed
            .into_iter()
            .map(|(device, key_package)| {
                let credential = inspect_key_package(&key_package)?;
                let subject = credential.subject();
                if !wanted.contains(&subject.account) || subject.device != device.sealed() {
                    return Err(GroupError::WrongAccount { wanted: subject.account }.into());
                }
                check_pin(profile, &credential)?;
                Ok(Claimed {
                    account: subject.account,
                    key_package,
                })
            })
            .collect::<Result<_, Problem>>()?;
        for account in asked {
            if !checked.iter().any(|claimed| claimed.account == account) {
                let name = profile.read(|tx| contacts::person(tx, account))?.username;
                let name = name.map_or_else(|| account.to_string(), |name| format!("@{name}"));
                return Err(Problem::declined(
                    "no-keys",
                    format!("{name} has no device that can be added: they must sign in once, then try again"),
                ));
            }
        }
        Ok(checked)
    });
    checked.await
}

/// The identity that this device met the account with is the one that it seals for.
fn check_pin(profile: &crate::profile::Profile, credential: &Credential) -> Result<(), Problem> {
    let subject = credential.subject();
    match profile.read(|tx| contacts::pin(tx, subject.account))? {
        Some(pin) if pin != subject.identity_key => Err(Problem::declined(
            "identity-changed",
            take::changed_identity(subject.username.as_str()),
        )),
        _ => Ok(()),
    }
}

/// Asks whether this account is still in; where it isn't, that is noted.
///
/// # Errors
/// The network, or the store.
pub(super) async fn verify(shared: &Arc<Shared>, connection: &Connection, conversation: ConversationId) -> Result<(), Problem> {
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
    // A group whose first commit is still on its way, or that others founded.
    if view.mls_epoch == 0 {
        return Ok(());
    }
    let listed = match list(connection, conversation).await {
        Err(Problem::Refused(refused)) if refused.code == Code::NotMember => {
            shared.ask(|errands| errands.verify.extend([conversation]));
            return Ok(());
        }
        listed => listed?,
    };
    let leaves: BTreeSet<DeviceId> = view.members.iter().map(|member| member.subject().device).collect();
    let accounts = take::accounts(&view);
    let me = shared.profile.run(|profile| profile.look(|groups, _| Ok(groups.me()))).await?;

    let is_admin = view.charter.is_admin(me.account);
    let gone: Vec<AccountId> = accounts.iter().filter(|account| !listed.contains_key(account)).copied().collect();
    if view.charter.kind == Kind::Group && is_admin && !gone.is_empty() {
        return commit(shared, conversation, Change::Remove(gone)).await.map(drop);
    }
    let lacking: Vec<(AccountId, DeviceId)> = listed
        .iter()
        .filter(|(account, _)| accounts.contains(account))
        .flat_map(|(account, member)| member.devices.iter().map(|device| (*account, device.sealed())))
        .filter(|(account, device)| {
            let leaf = fastchat_e2e::mls::MemberDevice {
                account: *account,
                device: *device,
            };
            !leaves.contains(device) && !view.charter.is_gone(leaf)
        })
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let claimed = claim(shared, connection, &[], &lacking).await?;
    if claimed.is_empty() {
        // It has not published its key packages yet: the next look finds it.
        return Ok(());
    }
    commit(shared, conversation, Change::Add(claimed)).await.map(drop)
}

/// Makes a commit and keeps it to be sent; gives its entry. None where one is under way already: what that one leaves
/// is to be looked at first.
pub(super) async fn commit(shared: &Shared, conversation: ConversationId, change: Change) -> Result<Option<EntryId>, Problem> {
    let ids = commit_ids();
    let made = shared.profile.run(move |profile| {
        profile.change(|groups, tx| {
            if groups.commit_under_way(tx, conversation)?.is_some() {
                return Ok(None);
            }
            groups.commit(tx, conversation, &change.intent(), ids, crate::clock::now())?;
            Ok(Some(ids.commit))
        })
    });
    let made = made.await?;
    if made.is_some() {
        shared.handle.wake();
    }
    Ok(made)
}

/// The server's list, whole.
async fn list(connection: &Connection, conversation: ConversationId) -> Result<BTreeMap<AccountId, Member>, Problem> {
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
