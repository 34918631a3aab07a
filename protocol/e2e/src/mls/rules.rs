//! The rules of a group: which commits its members accept.
//!
//! They look at the group's own state and at the commit, at nothing else: no pins, no
//! server, no clock. So all honest members judge alike, and a commit that breaks a rule
//! is skipped by all of them. [`judge`] is the law; [`GroupRules`] brings it to mls-rs.
//!
//! | who commits | may |
//! | --- | --- |
//! | any member | renew its leaf; add devices of accounts that are in; remove own devices, which puts them on the gone list |
//! | an admin | besides: add accounts, remove accounts with all their devices, change the admins |
//! | a device outside, of an account that is in | join by itself, removing its own old leaf |
//!
//! After every commit: at most [`LEAVES_MAX`] devices; each stands once and is not gone; all
//! devices of an account have one identity; a direct chat has two accounts; a group's admins
//! are members.

use super::{
    extension::{Charter, CharterError, Kind, MemberDevice},
    provider::{LeafRefused, known_leaf, verify_leaf},
};
use crate::{credential::Subject, device::DevicePublicKey, id::AccountId, identity::IdentityPublicKey};
use mls_rs::{
    MlsRules,
    client_builder::PaddingMode,
    error::IntoAnyError,
    group::{GroupContext, Roster},
    mls_rules::{CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle},
};
use std::collections::{BTreeMap, BTreeSet};

/// Devices that a conversation has at most. So many are founded by one commit that a frame carries (4 MiB: every key
/// package, a Welcome for each, and the tree twice), and a GroupInfo stays below 1 MiB.
pub const LEAVES_MAX: usize = 2_048;

/// Who a leaf is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// Account and device.
    pub who: MemberDevice,
    /// The device's key.
    pub device_key: DevicePublicKey,
    /// The key of the account's identity.
    pub identity_key: IdentityPublicKey,
}

impl From<&Subject> for Leaf {
    fn from(subject: &Subject) -> Self {
        Self {
            who: MemberDevice {
                account: subject.account,
                device: subject.device,
            },
            device_key: subject.device_key,
            identity_key: subject.identity_key,
        }
    }
}

/// Who commits.
#[derive(Debug, Clone, Copy)]
pub enum Committer {
    /// A leaf of the group.
    Member(Leaf),
    /// A device that joins by this very commit.
    Joiner(Leaf),
}

/// What a commit would do.
#[derive(Debug, Clone)]
pub struct Change {
    /// By whom.
    pub committer: Committer,
    /// Leaves that come.
    pub added: Vec<Leaf>,
    /// Indexes of leaves that go.
    pub removed: BTreeSet<u32>,
    /// The charter from now on, if it changes.
    pub charter: Option<Charter>,
}

/// Which rule a commit breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A proposal of a kind that FastChat's groups don't know, or by reference.
    #[error("the commit has a proposal that this conversation does not allow")]
    Proposal,
    /// A leaf that is nobody.
    #[error(transparent)]
    Leaf(#[from] LeafRefused),
    /// No charter, or a malformed one.
    #[error(transparent)]
    Charter(#[from] CharterError),
    /// A direct chat becomes a group or the other way round.
    #[error("a conversation stays what it is, direct or group: start another one instead")]
    KindChanged,
    /// Only admins may.
    #[error("only an admin adds or removes others or changes the admins: ask one of them")]
    NotAdmin,
    /// An account is removed with all its devices or not at all.
    #[error("another account is removed with all its devices or not at all")]
    PartOfAccount,
    /// The gone list must grow by exactly the committer's own devices that it removes.
    #[error("the list of gone devices must grow by exactly the removed devices of the committer's account")]
    GoneList,
    /// More leaves than [`LEAVES_MAX`].
    #[error("a conversation has at most {LEAVES_MAX} devices: remove members first, or begin another one")]
    Full,
    /// A device that was sent away wants back.
    #[error("a device that its account sent away does not return: sign in on it again, as a new device")]
    GoneReturns,
    /// The same device, or the same device key, twice.
    #[error("a device stands in the group twice")]
    Twice,
    /// Devices of one account with different identities.
    #[error("a device claims an account whose identity is another: do not trust it")]
    ForeignIdentity,
    /// A leaf's successor is of another account or device, or has another key.
    #[error("a device renews its leaf as itself, with the same keys")]
    Successor,
    /// A direct chat with other than two accounts.
    #[error("a direct chat has exactly two accounts, always the same: start another one instead")]
    NotTwo,
    /// An admin who is no member.
    #[error("an admin must be a member")]
    AdminOutside,
    /// A joiner whose account is not in, or who does more than take its own place.
    #[error("a device may join by itself only where its account is a member, and only in its own place")]
    Joiner,
}

impl IntoAnyError for Violation {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(self.into())
    }
}

/// Whether a commit keeps the rules.
///
/// # Errors
/// The first [`Violation`] found.
pub fn judge(leaves: &BTreeMap<u32, Leaf>, charter: &Charter, change: &Change) -> Result<(), Violation> {
    let next = change.charter.as_ref().unwrap_or(charter);
    if next.kind != charter.kind {
        return Err(Violation::KindChanged);
    }
    let mut after: Vec<Leaf> = Vec::with_capacity(leaves.len() + change.added.len() + 1);
    after.extend(
        leaves
            .iter()
            .filter(|(index, _)| !change.removed.contains(index))
            .map(|(_, leaf)| *leaf),
    );
    after.extend(&change.added);
    match change.committer {
        Committer::Member(author) => judge_member(leaves, charter, next, change, author.who.account, &after)?,
        Committer::Joiner(joiner) => {
            judge_joiner(leaves, change, joiner)?;
            after.push(joiner);
        }
    }
    check_group(after.iter(), next)
}

/// Whether a group as a whole is one that the rules allow: asked after each commit, and by those who join.
///
/// # Errors
/// The first [`Violation`] found.
pub fn check_group<'a>(leaves: impl Iterator<Item = &'a Leaf> + Clone, charter: &Charter) -> Result<(), Violation> {
    let (mut devices, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for leaf in leaves.clone() {
        if devices.len() == LEAVES_MAX {
            return Err(Violation::Full);
        }
        if !devices.insert(leaf.who) || !keys.insert(leaf.device_key) {
            return Err(Violation::Twice);
        }
        if charter.is_gone(leaf.who) {
            return Err(Violation::GoneReturns);
        }
    }
    let accounts = identities(leaves)?;
    match charter.kind {
        Kind::Direct if accounts.len() != 2 => Err(Violation::NotTwo),
        Kind::Group if !charter.admins.iter().all(|admin| accounts.contains_key(admin)) => Err(Violation::AdminOutside),
        _ => Ok(()),
    }
}

fn judge_member(
    leaves: &BTreeMap<u32, Leaf>,
    charter: &Charter,
    next: &Charter,
    change: &Change,
    author: AccountId,
    after: &[Leaf],
) -> Result<(), Violation> {
    let accounts: BTreeSet<AccountId> = leaves.values().map(|leaf| leaf.who.account).collect();
    let remaining: BTreeSet<AccountId> = after.iter().map(|leaf| leaf.who.account).collect();
    let founding = charter.kind == Kind::Direct && accounts.len() == 1;
    let admin = charter.is_admin(author);
    let mut gone = charter.gone.clone();
    for leaf in change.removed.iter().filter_map(|index| leaves.get(index)) {
        if leaf.who.account == author {
            gone.push(leaf.who);
        } else if charter.kind == Kind::Direct {
            return Err(Violation::NotTwo);
        } else if !admin {
            return Err(Violation::NotAdmin);
        } else if remaining.contains(&leaf.who.account) {
            return Err(Violation::PartOfAccount);
        }
    }
    if change.added.iter().any(|leaf| !accounts.contains(&leaf.who.account)) && !admin && !founding {
        return Err(match charter.kind {
            Kind::Direct => Violation::NotTwo,
            Kind::Group => Violation::NotAdmin,
        });
    }
    if next.admins != charter.admins && !admin {
        return Err(Violation::NotAdmin);
    }
    gone.sort_unstable();
    if next.gone != gone {
        return Err(Violation::GoneList);
    }
    Ok(())
}

fn judge_joiner(leaves: &BTreeMap<u32, Leaf>, change: &Change, joiner: Leaf) -> Result<(), Violation> {
    let known = leaves.values().any(|leaf| leaf.who.account == joiner.who.account);
    let own_place = change
        .removed
        .iter()
        .all(|index| leaves.get(index).is_some_and(|leaf| *leaf == joiner));
    if !known || !own_place || !change.added.is_empty() || change.charter.is_some() {
        return Err(Violation::Joiner);
    }
    Ok(())
}

fn identities<'a>(leaves: impl Iterator<Item = &'a Leaf>) -> Result<BTreeMap<AccountId, IdentityPublicKey>, Violation> {
    let mut accounts = BTreeMap::new();
    for leaf in leaves {
        if *accounts.entry(leaf.who.account).or_insert(leaf.identity_key) != leaf.identity_key {
            return Err(Violation::ForeignIdentity);
        }
    }
    Ok(accounts)
}

/// Brings the rules to mls-rs, for commits made here and received alike.
#[derive(Debug, Clone, Copy)]
pub struct GroupRules;

/// The leaves of a group that was accepted, by index.
pub(crate) fn leaves(roster: &Roster<'_>) -> Result<BTreeMap<u32, Leaf>, LeafRefused> {
    roster
        .members_iter()
        .map(|member| Ok((member.index, known_leaf(&member.signing_identity)?)))
        .collect()
}

impl MlsRules for GroupRules {
    type Error = Violation;

    fn filter_proposals(
        &self,
        _: CommitDirection,
        source: CommitSource,
        roster: &Roster<'_>,
        context: &GroupContext,
        proposals: ProposalBundle,
    ) -> Result<ProposalBundle, Violation> {
        let known = proposals.add_proposals().len()
            + proposals.remove_proposals().len()
            + proposals.group_context_ext_proposals().len()
            + proposals.external_init_proposals().len();
        let outside = matches!(source, CommitSource::NewMember(_));
        if known != proposals.length()
            || proposals.group_context_ext_proposals().len() > 1
            || proposals.external_init_proposals().len() != usize::from(outside)
            || proposals.iter_proposals().any(|proposal| proposal.is_by_reference())
        {
            return Err(Violation::Proposal);
        }
        let committer = match &source {
            CommitSource::ExistingMember(member) => Committer::Member(known_leaf(&member.signing_identity)?),
            CommitSource::NewMember(identity) => Committer::Joiner(Leaf::from(verify_leaf(identity)?.subject())),
        };
        let added = proposals.add_proposals().iter();
        let change = Change {
            committer,
            added: added
                .map(|add| Ok(Leaf::from(verify_leaf(add.proposal.signing_identity())?.subject())))
                .collect::<Result<_, LeafRefused>>()?,
            removed: proposals
                .remove_proposals()
                .iter()
                .map(|remove| remove.proposal.to_remove())
                .collect(),
            charter: match proposals.group_context_ext_proposals() {
                [one] => Some(Charter::from_extensions(&one.proposal)?),
                _ => None,
            },
        };
        let charter = Charter::from_extensions(context.extensions())?;
        judge(&leaves(roster)?, &charter, &change)?;
        Ok(proposals)
    }

    /// Trees travel in Welcomes and GroupInfos, and GroupInfos allow external commits.
    fn commit_options(&self, _: &Roster<'_>, _: &GroupContext, _: &ProposalBundle) -> Result<CommitOptions, Violation> {
        Ok(CommitOptions::new()
            .with_ratchet_tree_extension(true)
            .with_single_welcome_message(true)
            .with_allow_external_commit(true))
    }

    /// Handshakes in public messages; application messages padded.
    fn encryption_options(&self, _: &Roster<'_>, _: &GroupContext) -> Result<EncryptionOptions, Violation> {
        Ok(EncryptionOptions::new(false, PaddingMode::StepFunction))
    }
}
