//! Who is in a conversation: by the group's own state, and by the server's list.

use super::{join, shared::Shared};
use crate::{
    Connection, chat,
    ids::{Expose, Seal, new_entry},
    problem::Problem,
    profile::{
        contacts::{self, Met},
        devices, rooms, take, tasks,
    },
};
use bytes::Bytes;
use fastchat_e2e::{
    AccountId, ConversationId, DeviceId, EntryId,
    groups::{CommitIds, Error as GroupsError, Groups, View},
    mls::{Intent, Invite, Kind, MemberDevice, inspect_key_package},
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

/// Whether a conversation is the direct chat with an account: by the group's own state, whatever the server calls it.
pub(super) fn is_direct_with(view: &View, peer: AccountId) -> bool {
    view.charter.kind == Kind::Direct && take::accounts(view).contains(&peer)
}

/// Claims a key package of each device of these accounts, and of these devices. Each is checked against its account's
/// pin; one that is no good is left out.
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
    let asked = accounts.to_vec();
    let devices = devices.to_vec();
    let checked = shared.profile.run(move |profile| {
        profile.read(|tx| {
            let claimed = claimed.into_iter().map(|(device, key_package)| (device.sealed(), key_package));
            check_claimed(tx, claimed.collect(), &asked, &devices)
        })
    });
    checked.await
}

/// Those that can be added: a device of an account that was asked for, or one that was asked for itself.
fn check_claimed(
    tx: &Reader<'_>,
    claimed: Vec<(DeviceId, Bytes)>,
    accounts: &[AccountId],
    asked: &[(AccountId, DeviceId)],
) -> Result<Vec<Claimed>, Problem> {
    let mut good = Vec::new();
    let mut changed = BTreeMap::new();
    for (device, key_package) in claimed {
        let subject = match inspect_key_package(&key_package) {
            Ok(credential) => credential.subject().clone(),
            Err(error) => {
                tracing::warn!(%device, %error, "a device whose key package is no good is not added");
                continue;
            }
        };
        let account = subject.account;
        let is_wanted = accounts.contains(&account) || asked.contains(&(account, device));
        let leaf = MemberDevice { account, device };
        if devices::is_gone(tx, leaf)? {
            tracing::warn!(%device, %account, "a device that its account sent away is not added");
        } else if !is_wanted || subject.device != device {
            tracing::warn!(%device, %account, "a key package of another device than the server says is not used");
        } else if contacts::pin(tx, account)?.is_some_and(|pin| pin != subject.identity_key) {
            changed.insert(account, take::changed_identity(subject.username.as_str()));
        } else {
            good.push(Claimed { account, key_package });
        }
    }
    for account in accounts {
        if let Some(warning) = changed.remove(account) {
            return Err(Problem::declined("identity-changed", warning));
        }
        if !good.iter().any(|claimed| claimed.account == *account) {
            let name = contacts::person(tx, *account)?.username;
            let name = name.map_or_else(|| account.to_string(), |name| format!("@{name}"));
            return Err(Problem::declined(
                "no-keys",
                format!("{name} has no device that can be added: they must sign in once, then try again"),
            ));
        }
    }
    for (account, warning) in changed {
        tracing::warn!(%account, warning, "a device is not added");
    }
    Ok(good)
}

/// Compares those whom this device has met in groups with what the fleet says of them.
///
/// # Errors
/// The network, or the store.
pub(super) async fn acquaint(shared: &Arc<Shared>, connection: &Connection) -> Result<(), Problem> {
    let unchecked = shared.profile.run(|profile| profile.read(contacts::unchecked)).await?;
    for (account, conversation) in unchecked {
        let said = match chat::lookup_account(connection, account.wire()).await.map_err(Problem::from) {
            Ok(found) => Some(found),
            Err(Problem::Refused(refused)) if refused.code == Code::NotFound => None,
            Err(problem) => return Err(problem),
        };
        let checked = shared.profile.run(move |profile| {
            profile.change(|groups, tx| {
                let said = said.as_ref().and_then(|found| {
                    let name = found.username.as_str().parse().ok()?;
                    let (said, identity) = super::people::believed(&name, found).ok()?;
                    (said == account).then_some((name, identity))
                });
                let met = match &said {
                    Some((name, identity)) => contacts::meet(tx, account, name, identity)?,
                    None => Met::Changed,
                };
                match met {
                    Met::Same => Ok(()),
                    Met::Changed => take::doubt(groups, tx, conversation, account, crate::clock::now_ms()),
                }
            })
        });
        checked.await?;
    }
    Ok(())
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
    let gone: Vec<AccountId> = accounts
        .iter()
        .filter(|account| !listed.contains_key(account) && **account != me.account)
        .copied()
        .collect();
    if view.charter.kind == Kind::Group && is_admin && !gone.is_empty() {
        return commit(shared, conversation, Change::Remove(gone), None).await.map(drop);
    }
    let lacking: Vec<(AccountId, DeviceId)> = listed
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
    let claimed = claim(shared, connection, &[], &lacking).await?;
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

/// Makes a commit and keeps it to be sent; gives its entry. None where one is under way already: what that one leaves
/// is to be looked at first; and none where it is for a wish that is one no longer.
pub(super) async fn commit(
    shared: &Shared,
    conversation: ConversationId,
    change: Change,
    wish: Option<EntryId>,
) -> Result<Option<EntryId>, Problem> {
    let ids = commit_ids();
    let made = shared.profile.run(move |profile| {
        profile.change(|groups, tx| {
            if groups.commit_under_way(tx, conversation)?.is_some() || tasks::is_over(tx, wish)? {
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
    use crate::profile::{Profile, identity};
    use fastchat_e2e::{Credential, DeviceKey, IdentityKey};
    use std::time::Duration;

    struct Device {
        _folder: tempfile::TempDir,
        profile: Profile,
        account: AccountId,
        device: DeviceId,
        identity: fastchat_e2e::IdentityPublicKey,
    }

    fn device(name: &str) -> Device {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::create(folder.path()).unwrap();
        let (account, device) = (AccountId(rand::random()), DeviceId(rand::random()));
        let (key, identity_key) = (DeviceKey::random(&mut rand::rng()), IdentityKey::random(&mut rand::rng()));
        let credential = Credential::issue(&identity_key, account, name.parse().unwrap(), device, key.public(), 1);
        profile.write(|tx| identity::save(tx, &credential, &key, None)).unwrap();
        Device {
            _folder: folder,
            profile,
            account,
            device,
            identity: identity_key.public(),
        }
    }

    fn package(of: &Device) -> Bytes {
        let now = Duration::from_secs(1_800_000_000);
        let made = of.profile.change(|groups, tx| Ok(groups.make_key_packages(tx, 1, false, now)?));
        made.unwrap().remove(0).into()
    }

    #[test]
    fn a_key_package_that_is_no_good_keeps_no_other_device_out() {
        let [alice, bob, mallory] = ["alice", "bob", "mallory"].map(device);
        let claimed = vec![
            (DeviceId([9; 16]), Bytes::from_static(b"rubbish")),
            // Somebody else's, under the name of a device that was asked for.
            (mallory.device, package(&bob)),
            (bob.device, package(&bob)),
            (mallory.device, package(&mallory)),
        ];
        let devices = [(bob.account, bob.device), (bob.account, mallory.device)];
        let good = alice.profile.read(|tx| check_claimed(tx, claimed, &[], &devices)).unwrap();
        assert_eq!(good.iter().map(|one| one.account).collect::<Vec<_>>(), [bob.account]);
    }

    #[test]
    fn nobody_is_added_with_another_identity_than_the_one_that_was_met() {
        let [alice, bob, impostor] = ["alice", "bob", "bob"].map(device);
        let name = "bob".parse().unwrap();
        let meet = |account, identity| alice.profile.write(|tx| contacts::meet(tx, account, &name, identity)).unwrap();
        assert_eq!(meet(bob.account, &impostor.identity), Met::Same);
        let check = |accounts: &[AccountId], devices: &[_]| {
            let claimed = vec![(bob.device, package(&bob))];
            alice.profile.read(|tx| check_claimed(tx, claimed, accounts, devices))
        };
        assert_eq!(check(&[bob.account], &[]).unwrap_err().code(), "identity-changed");
        assert!(check(&[], &[(bob.account, bob.device)]).unwrap().is_empty(), "the rest goes on");
        assert_eq!(check(&[alice.account], &[]).unwrap_err().code(), "no-keys");
    }
}
