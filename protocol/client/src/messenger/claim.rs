//! Key packages of those who are to be added: claimed from the server, and held against the pins.

use super::shared::Shared;
use crate::{
    Connection, chat,
    ids::{Expose, Seal},
    problem::Problem,
    profile::{
        contacts::{self, Claim},
        devices as known, identity, take, trust,
    },
    trust::Why,
};
use bytes::Bytes;
use fastchat_e2e::{
    AccountId, ConversationId, DeviceId, IdentityPublicKey,
    mls::{Invite, MemberDevice, inspect_key_package},
    store::Reader,
};
use fastchat_wire::chat::keys_claim::KeysClaimLists;
use std::collections::BTreeMap;

/// Accounts or devices whose key packages are claimed at once.
const CLAIM_MAX: usize = 64;

/// A device that can be added: whose it is, and what adds it.
#[derive(Debug, Clone)]
pub(super) struct Claimed {
    pub(super) account: AccountId,
    pub(super) key_package: Bytes,
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

/// Claims a key package of each device of these accounts, and of these devices, for a conversation. Each is checked
/// against its account's pin; one that is no good is left out.
///
/// # Errors
/// `no-keys` where an account has no device that can be added; [`Problem::Distrusted`] where it is not who this device
/// knows; the network.
pub(super) async fn claim(
    shared: &Shared,
    connection: &Connection,
    conversation: ConversationId,
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
        profile.change(|groups, tx| {
            let claimed = claimed.into_iter().map(|(device, key_package)| (device.sealed(), key_package));
            let Checked { good, foreign } = check_claimed(tx, claimed.collect(), &asked, &devices)?;
            for (account, claim) in &foreign {
                let is_new = trust::offer(tx, *account, claim)?;
                // Who asked for the account is told; nobody asked for the device.
                if is_new && !asked.contains(account) && groups.cursor(tx, conversation).is_ok() {
                    let alarm = take::offered_device(claim.username.as_str());
                    take::alarm(groups, tx, conversation, alarm, crate::clock::now_ms())?;
                }
            }
            // What was offered is kept, whatever comes of the request.
            Ok(all_asked_for(tx, &asked, good, foreign))
        })
    });
    checked.await?
}

/// Key packages as they were found.
struct Checked {
    good: Vec<Claimed>,
    /// Accounts whose devices another identity has signed than the pinned one.
    foreign: BTreeMap<AccountId, Claim>,
}

/// Those that can be added: a device of an account that was asked for, or one that was asked for itself.
fn check_claimed(
    tx: &Reader<'_>,
    claimed: Vec<(DeviceId, Bytes)>,
    accounts: &[AccountId],
    devices: &[(AccountId, DeviceId)],
) -> Result<Checked, Problem> {
    let mut good = Vec::new();
    let mut foreign = BTreeMap::new();
    for (device, key_package) in claimed {
        let subject = match inspect_key_package(&key_package) {
            Ok(credential) => credential.subject().clone(),
            Err(error) => {
                tracing::warn!(%device, %error, "a device whose key package is no good is not added");
                continue;
            }
        };
        let account = subject.account;
        let is_wanted = accounts.contains(&account) || devices.contains(&(account, device));
        if known::is_gone(tx, MemberDevice { account, device })? {
            tracing::warn!(%device, %account, "a device that its account sent away is not added");
        } else if !is_wanted || subject.device != device {
            tracing::warn!(%device, %account, "a key package of another device than the server says is not used");
        } else if expected(tx, account)?.is_some_and(|identity| identity != subject.identity_key) {
            let claim = Claim {
                why: Why::IdentityChanged,
                username: subject.username,
                identity: subject.identity_key,
            };
            foreign.insert(account, claim);
        } else {
            good.push(Claimed { account, key_package });
        }
    }
    Ok(Checked { good, foreign })
}

/// The identity that signs an account's devices, as this device knows it; its own account's from the beginning.
fn expected(tx: &Reader<'_>, account: AccountId) -> Result<Option<IdentityPublicKey>, Problem> {
    let own = identity::credential(tx)?.filter(|own| own.subject().account == account);
    match own {
        Some(own) => Ok(Some(own.subject().identity_key)),
        None => Ok(contacts::pin(tx, account)?.map(|pin| pin.identity)),
    }
}

/// Refuses where an account that was asked for can't be added.
fn all_asked_for(
    tx: &Reader<'_>,
    accounts: &[AccountId],
    good: Vec<Claimed>,
    mut foreign: BTreeMap<AccountId, Claim>,
) -> Result<Vec<Claimed>, Problem> {
    for account in accounts {
        if let Some(claim) = foreign.remove(account) {
            return Err(trust::turned_down(*account, claim));
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
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;
    use fastchat_e2e::{Credential, DeviceKey, IdentityKey};
    use std::time::Duration;

    struct Device {
        _folder: tempfile::TempDir,
        profile: Profile,
        account: AccountId,
        device: DeviceId,
        identity: IdentityPublicKey,
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
        let checked = alice.profile.read(|tx| check_claimed(tx, claimed, &[], &devices)).unwrap();
        assert_eq!(checked.good.iter().map(|one| one.account).collect::<Vec<_>>(), [bob.account]);
    }

    #[test]
    fn nobody_is_added_with_another_identity_than_the_one_that_was_met() {
        let [alice, bob, impostor] = ["alice", "bob", "bob"].map(device);
        let name = "bob".parse().unwrap();
        let meet = |account, identity| alice.profile.write(|tx| contacts::meet(tx, account, &name, identity)).unwrap();
        assert_eq!(meet(bob.account, &impostor.identity), None);
        let check = |accounts: &[AccountId], devices: &[_]| {
            let claimed = vec![(bob.device, package(&bob))];
            alice.profile.read(|tx| {
                let Checked { good, foreign } = check_claimed(tx, claimed, accounts, devices)?;
                all_asked_for(tx, accounts, good, foreign)
            })
        };
        assert_eq!(check(&[bob.account], &[]).unwrap_err().code(), "identity-changed");
        assert!(check(&[], &[(bob.account, bob.device)]).unwrap().is_empty(), "the rest goes on");
        assert_eq!(check(&[alice.account], &[]).unwrap_err().code(), "no-keys");
    }
}
