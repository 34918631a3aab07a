//! One group in memory: bytes in, bytes and a new state out.
//!
//! ```text
//!   LiveGroup ── commit ──> Made, to be sent; the group is as before
//!       │ ── apply_own / process ──> the next epoch
//!       │ ── seal / open ──> the next key
//!       └── state, tree ──> to be stored
//! ```
//!
//! A commit made here changes nothing until [`LiveGroup::apply_own`]: its secrets are kept
//! beside the group, so that another member's commit can win. After any error the caller
//! drops the group and loads it again: what failed half-way is never stored.

use super::{
    error::GroupError,
    extension::{Charter, MemberDevice},
    provider::{Config, Desk, known_credential, known_leaf, verify_leaf},
    rules::{Leaf, leaves},
};
use crate::{
    credential::Credential,
    id::{AccountId, DeviceId},
    secret::SecretBytes,
};
use mls_rs::{
    Group, MlsMessage, MlsMessageDescription,
    error::MlsError,
    group::{CommitEffect, CommitMessageDescription, CommitOutput, CommitSecrets, ContentType, ReceivedMessage},
    time::MlsTime,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use zeroize::Zeroizing;

/// A device to be added: the account that the caller means, and what the server gave for it.
#[derive(Debug, Clone, Copy)]
pub struct Invite<'a> {
    /// Whom the caller means.
    pub account: AccountId,
    /// One of its devices' key packages.
    pub key_package: &'a [u8],
}

/// What a commit is to do.
#[derive(Debug, Clone)]
pub enum Intent<'a> {
    /// Add devices: of new accounts (admins only), or of accounts that are in.
    Add(Vec<Invite<'a>>),
    /// Remove accounts with all their devices (admins only).
    Remove(Vec<AccountId>),
    /// Send own devices away, for good.
    SendAway(Vec<DeviceId>),
    /// Make members admins (admins only).
    Appoint(Vec<AccountId>),
    /// Make admins plain members (admins only).
    Dismiss(Vec<AccountId>),
    /// Renew the own leaf's keys.
    Renew,
}

/// A commit that was made and not applied.
#[derive(Debug)]
pub struct Made {
    /// For the log.
    pub commit: Vec<u8>,
    /// For those who join.
    pub welcome: Option<Vec<u8>>,
    /// For those who join by themselves later.
    pub group_info: Vec<u8>,
    /// Accounts that come.
    pub added: Vec<AccountId>,
    /// Accounts that go.
    pub removed: Vec<AccountId>,
    /// Devices that the Welcome is for.
    pub welcome_to: Vec<DeviceId>,
    /// For [`LiveGroup::apply_own`].
    pub(crate) secrets: SecretBytes,
}

/// What an applied commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// By whom.
    pub author: Leaf,
    /// Leaves that came.
    pub added: Vec<MemberDevice>,
    /// Leaves that went.
    pub removed: Vec<MemberDevice>,
    /// Whether this device is out; then its state is to be deleted.
    pub out: bool,
    /// The sender's authenticated data.
    pub authenticated_data: Vec<u8>,
}

/// An opened application message.
#[derive(Debug)]
pub struct Opened {
    /// Who sealed it: the MLS leaf.
    pub sender: Leaf,
    /// What was said.
    pub plaintext: SecretBytes,
    /// The sender's authenticated data.
    pub authenticated_data: Vec<u8>,
}

/// Reads a key package: who would be added by it. For the caller, who compares pins first.
///
/// # Errors
/// [`GroupError::Unexpected`], [`GroupError::Leaf`].
pub fn inspect_key_package(bytes: &[u8]) -> Result<Credential, GroupError> {
    let message = MlsMessage::from_bytes(bytes).map_err(|_| GroupError::Unexpected("key package"))?;
    let package = message.as_key_package().ok_or(GroupError::Unexpected("key package"))?;
    Ok(verify_leaf(package.signing_identity())?)
}

/// A group that is being worked on.
pub struct LiveGroup {
    pub(super) mls: Group<Config>,
    pub(super) desk: Desk,
    pub(super) me: MemberDevice,
    /// Its state as the store has it; empty where the store has none, or has it whole.
    pub(crate) stored: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for LiveGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveGroup")
            .field("epoch", &self.mls.current_epoch())
            .finish_non_exhaustive()
    }
}

impl LiveGroup {
    /// The MLS epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.mls.current_epoch()
    }

    /// What the group says about itself.
    ///
    /// # Errors
    /// [`GroupError::Charter`].
    pub fn charter(&self) -> Result<Charter, GroupError> {
        Ok(Charter::from_extensions(self.mls.context().extensions())?)
    }

    /// Who is in, by leaf index.
    ///
    /// # Errors
    /// [`GroupError::Leaf`].
    pub fn leaves(&self) -> Result<BTreeMap<u32, Leaf>, GroupError> {
        Ok(leaves(&self.mls.roster())?)
    }

    /// The credentials of all leaves. Each was verified when it came in, and is not again: this is asked after each commit.
    ///
    /// # Errors
    /// [`GroupError::Leaf`].
    pub fn credentials(&self) -> Result<Vec<Credential>, GroupError> {
        let roster = self.mls.roster();
        roster
            .member_identities_iter()
            .map(|identity| Ok(known_credential(identity)?))
            .collect()
    }

    /// Makes a commit, which is not applied.
    ///
    /// # Errors
    /// [`GroupError::Rule`], [`GroupError::NoMember`], [`GroupError::WrongAccount`] and other faults of the caller or of a key package.
    pub fn commit(&mut self, intent: &Intent<'_>, authenticated_data: Vec<u8>, now: Duration) -> Result<Made, GroupError> {
        let before = self.leaves()?;
        let mut charter = self.charter()?;
        let old_charter = charter.clone();
        let mut removed = BTreeSet::new();
        let mut added = Vec::new();
        let mut builder = self
            .mls
            .commit_builder()
            .authenticated_data(authenticated_data)
            .commit_time(time(now));
        match intent {
            Intent::Add(invites) => {
                for invite in invites {
                    let leaf = Leaf::from(inspect_key_package(invite.key_package)?.subject()).who;
                    if leaf.account != invite.account {
                        return Err(GroupError::WrongAccount { wanted: invite.account });
                    }
                    added.push(leaf);
                    let message = MlsMessage::from_bytes(invite.key_package).map_err(GroupError::received)?;
                    builder = builder.add_member(message).map_err(GroupError::received)?;
                }
            }
            Intent::Remove(accounts) => {
                removed = find(&before, accounts, |leaf| leaf.account)?;
                charter.admins.retain(|admin| !accounts.contains(admin));
            }
            Intent::SendAway(devices) => {
                let own: BTreeMap<u32, Leaf> = before
                    .iter()
                    .filter(|(_, leaf)| leaf.who.account == self.me.account)
                    .map(|(i, l)| (*i, *l))
                    .collect();
                removed = find(&own, devices, |leaf| leaf.device)?;
                for device in devices {
                    charter.send_away(MemberDevice {
                        account: self.me.account,
                        device: *device,
                    });
                }
            }
            Intent::Appoint(accounts) => accounts.iter().for_each(|account| charter.appoint(*account)),
            Intent::Dismiss(accounts) => charter.admins.retain(|admin| !accounts.contains(admin)),
            Intent::Renew => {}
        }
        for index in &removed {
            builder = builder.remove_member(*index).map_err(GroupError::making)?;
        }
        if charter != old_charter {
            builder = builder
                .set_group_context_ext(charter.to_extensions()?)
                .map_err(GroupError::making)?;
        }
        let (output, secrets) = builder.build_detached().map_err(GroupError::making)?;
        let accounts = |leaves: &mut dyn Iterator<Item = AccountId>| leaves.collect::<BTreeSet<_>>();
        let were = accounts(&mut before.values().map(|leaf| leaf.who.account));
        let remain = accounts(
            &mut before
                .iter()
                .filter(|(i, _)| !removed.contains(i))
                .map(|(_, leaf)| leaf.who.account),
        );
        let come = accounts(&mut added.iter().map(|leaf| leaf.account));
        made(
            &output,
            &secrets,
            come.difference(&were).copied().collect(),
            were.difference(&remain).copied().collect(),
            added.iter().map(|leaf| leaf.device).collect(),
        )
    }

    /// Applies an own commit, once it stands in the log.
    ///
    /// # Errors
    /// [`GroupError::Damaged`].
    pub fn apply_own(&mut self, secrets: &[u8]) -> Result<Applied, GroupError> {
        let before = self.leaves()?;
        let secrets = CommitSecrets::from_bytes(secrets).map_err(GroupError::Damaged)?;
        let done = self.mls.apply_detached_commit(secrets).map_err(GroupError::Damaged)?;
        self.applied(&before, done.committer, done.authenticated_data)
    }

    /// Applies another member's commit.
    ///
    /// # Errors
    /// [`GroupError`]: against the rules, of another epoch, broken.
    pub fn process(&mut self, commit: &[u8]) -> Result<Applied, GroupError> {
        let before = self.leaves()?;
        let message = expected(commit, ContentType::Commit, "commit", self.mls.group_id(), self.epoch())?;
        match self.mls.process_incoming_message(message).map_err(GroupError::received)? {
            ReceivedMessage::Commit(done) => self.applied_or_out(&before, done),
            _ => Err(GroupError::Unexpected("commit")),
        }
    }

    /// Seals an application message.
    ///
    /// # Errors
    /// [`GroupError::Internal`].
    pub fn seal(&mut self, plaintext: &[u8], authenticated_data: Vec<u8>) -> Result<Vec<u8>, GroupError> {
        let sealed = self.mls.encrypt_application_message(plaintext, authenticated_data);
        sealed.and_then(|message| message.to_bytes()).map_err(GroupError::making)
    }

    /// Opens an application message.
    ///
    /// # Errors
    /// [`GroupError`]: of another epoch, repeated, broken.
    pub fn open(&mut self, sealed: &[u8]) -> Result<Opened, GroupError> {
        let message = expected(sealed, ContentType::Application, "message", self.mls.group_id(), self.epoch())?;
        match self.mls.process_incoming_message(message).map_err(GroupError::received)? {
            ReceivedMessage::ApplicationMessage(opened) => {
                let member = self
                    .mls
                    .member_at_index(opened.sender_index)
                    .ok_or(GroupError::Unexpected("message"))?;
                Ok(Opened {
                    sender: known_leaf(&member.signing_identity)?,
                    plaintext: SecretBytes::new(opened.data().to_vec()),
                    authenticated_data: opened.authenticated_data,
                })
            }
            _ => Err(GroupError::Unexpected("message")),
        }
    }

    /// The state to be stored, without the tree: some 1 KB, and 100 bytes for everybody who has spoken in this epoch.
    ///
    /// # Errors
    /// [`GroupError::Internal`].
    pub fn state(&mut self) -> Result<Zeroizing<Vec<u8>>, GroupError> {
        self.mls.write_to_storage_without_ratchet_tree().map_err(GroupError::making)?;
        let state = self.desk.papers().states.remove(self.mls.group_id());
        state.ok_or(GroupError::Internal(MlsError::GroupNotFound))
    }

    /// The tree to be stored: public, changed by commits only.
    ///
    /// # Errors
    /// [`GroupError::Internal`].
    pub fn tree(&self) -> Result<Vec<u8>, GroupError> {
        self.mls.export_tree().to_bytes().map_err(GroupError::making)
    }

    /// A secret of this epoch that all members can derive, for something else than messages.
    pub(crate) fn export(&self, label: &[u8], context: &[u8]) -> Result<Zeroizing<[u8; 32]>, GroupError> {
        let secret = self.mls.export_secret(label, context, 32).map_err(GroupError::making)?;
        let secret: [u8; 32] = secret
            .as_bytes()
            .try_into()
            .map_err(|_| GroupError::Unexpected("exported secret"))?;
        Ok(Zeroizing::new(secret))
    }

    fn applied_or_out(&self, before: &BTreeMap<u32, Leaf>, done: CommitMessageDescription) -> Result<Applied, GroupError> {
        let CommitEffect::Removed { .. } = &done.effect else {
            return self.applied(before, done.committer, done.authenticated_data);
        };
        let me = before.values().find(|leaf| leaf.who == self.me).map(|leaf| leaf.who);
        Ok(Applied {
            author: *before.get(&done.committer).ok_or(GroupError::NoMember)?,
            added: Vec::new(),
            removed: me.into_iter().collect(),
            out: true,
            authenticated_data: done.authenticated_data,
        })
    }

    fn applied(&self, before: &BTreeMap<u32, Leaf>, committer: u32, authenticated_data: Vec<u8>) -> Result<Applied, GroupError> {
        let after = self.leaves()?;
        let devices = |leaves: &BTreeMap<u32, Leaf>| leaves.values().map(|leaf| leaf.who).collect::<BTreeSet<_>>();
        let (were, are) = (devices(before), devices(&after));
        Ok(Applied {
            author: *after.get(&committer).ok_or(GroupError::NoMember)?,
            added: are.difference(&were).copied().collect(),
            removed: were.difference(&are).copied().collect(),
            out: false,
            authenticated_data,
        })
    }
}

/// Reads a message of this group, of this epoch and of this kind: anybody sees that it is none.
pub(super) fn expected(
    bytes: &[u8],
    wanted: ContentType,
    name: &'static str,
    group_id: &[u8],
    ours: u64,
) -> Result<MlsMessage, GroupError> {
    let message = MlsMessage::from_bytes(bytes).map_err(|_| GroupError::Unexpected(name))?;
    let (group, theirs, content) = match message.description() {
        MlsMessageDescription::PublicProtocolMessage {
            group_id,
            epoch_id,
            content_type,
            ..
        } if wanted == ContentType::Commit => (group_id, epoch_id, content_type),
        MlsMessageDescription::PrivateProtocolMessage {
            group_id,
            epoch_id,
            content_type,
        } if wanted == ContentType::Application => (group_id, epoch_id, content_type),
        _ => return Err(GroupError::Unexpected(name)),
    };
    if content != wanted || group != group_id {
        return Err(GroupError::Unexpected(name));
    }
    if theirs != ours {
        return Err(GroupError::Epoch { theirs, ours });
    }
    Ok(message)
}

/// Indexes of the leaves that are meant; each wanted one must be there.
fn find<T: PartialEq + Copy>(
    leaves: &BTreeMap<u32, Leaf>,
    wanted: &[T],
    of: impl Fn(MemberDevice) -> T,
) -> Result<BTreeSet<u32>, GroupError> {
    if !wanted.iter().all(|one| leaves.values().any(|leaf| of(leaf.who) == *one)) {
        return Err(GroupError::NoMember);
    }
    let meant = leaves.iter().filter(|(_, leaf)| wanted.contains(&of(leaf.who)));
    Ok(meant.map(|(index, _)| *index).collect())
}

fn made(
    output: &CommitOutput,
    secrets: &CommitSecrets,
    added: Vec<AccountId>,
    removed: Vec<AccountId>,
    welcome_to: Vec<DeviceId>,
) -> Result<Made, GroupError> {
    let bytes = |message: &MlsMessage| message.to_bytes().map_err(GroupError::making);
    let info = output.external_commit_group_info.as_ref();
    Ok(Made {
        commit: bytes(&output.commit_message)?,
        welcome: output.welcome_messages.first().map(bytes).transpose()?,
        group_info: bytes(info.ok_or(GroupError::Internal(MlsError::InvalidGroupInfo))?)?,
        added,
        removed,
        welcome_to,
        secrets: SecretBytes::new(secrets.to_bytes().map_err(GroupError::making)?),
    })
}

/// MLS counts seconds, and sets the start of a lifetime an hour back.
pub(crate) fn time(now: Duration) -> MlsTime {
    MlsTime::from_duration_since_epoch(now.max(Duration::from_hours(1)))
}
