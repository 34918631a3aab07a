//! mls-rs, set up for one device: where groups come from.
//!
//! A group is made, joined by a Welcome or by an own commit from outside, or taken up again from what
//! was stored. Who joins checks the whole group by the rules, as it saw none of the commits that made it.

use super::{
    error::GroupError,
    extension::{Charter, MemberDevice},
    group::{LiveGroup, time},
    new_way,
    observer::Observer,
    provider::{Config, Desk, LeafRefused, MlsClient, Papers, client, known_leaf},
    rules::{Leaf, check_group, leaves},
};
use crate::{credential::Credential, device::DeviceKey, id::ConversationId};
use mls_rs::{
    ExtensionList, Group, MlsMessage, MlsMessageDescription,
    extension::{ExtensionType, built_in::RatchetTreeExt},
    group::{ExportedTree, GroupInfo},
};
use mls_rs_core::{crypto::SignatureSecretKey, key_package::KeyPackageData};
use std::time::Duration;
use zeroize::Zeroizing;

/// A public key of the suite's X25519.
const KEM_KEY_BYTES: usize = 32;

/// What came of a Welcome.
#[derive(Debug)]
pub struct Joined {
    /// Who added this device.
    pub adder: Leaf,
    /// References of one-time key packages that it used up.
    pub used: Vec<Vec<u8>>,
    /// Whether it used the last-resort one, which is to be replaced.
    pub last_resort_used: bool,
}

/// A commit by which this device comes in from outside. Nothing has come of it until it stands in the log.
#[derive(Debug)]
pub struct External {
    /// For the log.
    pub commit: Vec<u8>,
    /// For those who join by themselves later.
    pub group_info: Vec<u8>,
}

/// mls-rs, set up for one device.
#[derive(Debug)]
pub struct Engine {
    desk: Desk,
    mls: MlsClient,
    me: MemberDevice,
    signer: SignatureSecretKey,
}

impl Engine {
    /// For a device with its credential.
    ///
    /// # Errors
    /// [`GroupError::Leaf`] where the credential is for another key.
    pub fn new(credential: &Credential, key: &DeviceKey) -> Result<Self, GroupError> {
        if credential.subject().device_key != key.public() {
            return Err(LeafRefused::Key.into());
        }
        let desk = Desk::default();
        Ok(Self {
            mls: client(credential, key, &desk),
            me: Leaf::from(credential.subject()).who,
            desk,
            signer: SignatureSecretKey::new(key.keypair().expose().to_vec()),
        })
    }

    /// A GroupInfo of what an observer sees, by which this device, and nobody else, comes into that group.
    pub(crate) fn new_way(&self, observer: &Observer) -> Result<Vec<u8>, GroupError> {
        new_way::group_info(observer, self.me, &self.signer)
    }

    /// This device.
    #[must_use]
    pub fn me(&self) -> MemberDevice {
        self.me
    }

    pub(crate) fn mls(&self) -> &MlsClient {
        &self.mls
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// A new group with this device alone in it, epoch 0.
    ///
    /// # Errors
    /// [`GroupError::Charter`], [`GroupError::Internal`].
    pub fn create(&self, conversation: ConversationId, charter: &Charter, now: Duration) -> Result<LiveGroup, GroupError> {
        let group = self
            .mls
            .create_group_with_id(
                conversation.0.to_vec(),
                charter.to_extensions()?,
                Vec::new().into(),
                Some(time(now)),
            )
            .map_err(GroupError::making)?;
        Ok(self.live(group))
    }

    /// Takes a group up again from what was stored.
    ///
    /// # Errors
    /// [`GroupError::Damaged`].
    pub fn load(&self, conversation: ConversationId, state: Zeroizing<Vec<u8>>, tree: &[u8]) -> Result<LiveGroup, GroupError> {
        *self.desk.papers() = Papers {
            states: [(conversation.0.to_vec(), state)].into(),
            ..Default::default()
        };
        let tree = ExportedTree::from_bytes(tree).map_err(GroupError::Damaged)?;
        let group = self.mls.load_group_with_ratchet_tree(&conversation.0, tree);
        *self.desk.papers() = Default::default();
        Ok(self.live(group.map_err(GroupError::Damaged)?))
    }

    /// Joins by a Welcome that lies in a conversation's log. `package` finds a key package by its reference.
    ///
    /// # Errors
    /// [`GroupError`]: not for this device, another conversation, a group that breaks the rules.
    pub fn join<E: From<GroupError>>(
        &self,
        conversation: ConversationId,
        welcome: &[u8],
        mut package: impl FnMut(&[u8]) -> Result<Option<KeyPackageData>, E>,
    ) -> Result<(LiveGroup, Joined), E> {
        let message = MlsMessage::from_bytes(welcome).map_err(|_| GroupError::Unexpected("invitation"))?;
        let MlsMessageDescription::Welcome { key_package_refs, .. } = message.description() else {
            return Err(GroupError::Unexpected("invitation").into());
        };
        let mut papers = Papers::default();
        for reference in key_package_refs {
            if let Some(data) = package(reference)? {
                papers.key_packages.insert(reference.to_vec(), data);
            }
        }
        if papers.key_packages.is_empty() {
            return Err(GroupError::NotInvited.into());
        }
        *self.desk.papers() = papers;
        let joined = self.mls.join_group(None, &message, None).map_err(GroupError::received);
        let joined = joined.and_then(|(group, info)| self.check_joined(conversation, self.live(group), info.sender));
        *self.desk.papers() = Default::default();
        Ok(joined?)
    }

    /// Makes the commit by which this device joins by itself, and the group as it is after it. A leaf that this very
    /// device has in the group already, and whose state it lost, is taken out by the same commit.
    ///
    /// # Errors
    /// [`GroupError`]: no GroupInfo, another conversation's, one without a way in; a group or a joiner that breaks the
    /// rules.
    pub fn join_from_outside(&self, conversation: ConversationId, group_info: &[u8]) -> Result<(LiveGroup, External), GroupError> {
        let message = MlsMessage::from_bytes(group_info).map_err(|_| no_information())?;
        let info = message.as_group_info().ok_or_else(no_information)?;
        if info.group_context().group_id() != conversation.0 {
            return Err(GroupError::WrongConversation);
        }
        if !is_way_in(info.extensions()) {
            return Err(GroupError::NoWayIn);
        }
        let own = self.own_leaf(info)?;
        // No time is given: a member whose key package has run out since it joined is a member all the same.
        let mut builder = self.mls.external_commit_builder().map_err(GroupError::making)?;
        if let Some(own) = own {
            builder = builder.with_removal(own);
        }
        let (group, commit) = builder.build(message).map_err(GroupError::received)?;
        check_group(
            leaves(&group.roster())?.values(),
            &Charter::from_extensions(group.context().extensions())?,
        )?;
        let info = group.group_info_message_allowing_ext_commit(true).map_err(GroupError::making)?;
        let bytes = |message: &MlsMessage| message.to_bytes().map_err(GroupError::making);
        let external = External {
            commit: bytes(&commit)?,
            group_info: bytes(&info)?,
        };
        Ok((self.live(group), external))
    }

    /// Whether this device stands in the group already, by its GroupInfo.
    ///
    /// # Errors
    /// [`GroupError::Unexpected`], [`GroupError::Leaf`].
    pub fn has_a_place(&self, group_info: &[u8]) -> Result<bool, GroupError> {
        let message = MlsMessage::from_bytes(group_info).map_err(|_| no_information())?;
        Ok(self.own_leaf(message.as_group_info().ok_or_else(no_information)?)?.is_some())
    }

    /// The epoch that a GroupInfo is of.
    ///
    /// # Errors
    /// [`GroupError::Unexpected`].
    pub fn epoch_of(&self, group_info: &[u8]) -> Result<u64, GroupError> {
        let message = MlsMessage::from_bytes(group_info).map_err(|_| no_information())?;
        Ok(message.as_group_info().ok_or_else(no_information)?.group_context().epoch())
    }

    /// Where this device's leaf is.
    fn own_leaf(&self, info: &GroupInfo) -> Result<Option<u32>, GroupError> {
        let tree = info.extensions().get_as::<RatchetTreeExt>().ok().flatten();
        for member in tree.ok_or_else(no_information)?.tree_data.roster().members_iter() {
            if known_leaf(&member.signing_identity)?.who == self.me {
                return Ok(Some(member.index));
            }
        }
        Ok(None)
    }

    fn check_joined(&self, conversation: ConversationId, mut group: LiveGroup, adder: u32) -> Result<(LiveGroup, Joined), GroupError> {
        if *group.mls.group_id() != conversation.0 {
            return Err(GroupError::WrongConversation);
        }
        let members = group.leaves()?;
        check_group(members.values(), &group.charter()?)?;
        let adder = *members.get(&adder).ok_or(GroupError::Unexpected("invitation"))?;
        // Writing tells the desk which key package was used up; a last-resort one is not deleted.
        group.mls.write_to_storage_without_ratchet_tree().map_err(GroupError::making)?;
        let used = std::mem::take(&mut self.desk.papers().used);
        let joined = Joined {
            adder,
            last_resort_used: used.is_empty(),
            used,
        };
        // Loaded anew, so that later writes don't name the key package again.
        let (state, tree) = (group.state()?, group.tree()?);
        Ok((self.load(conversation, state, &tree)?, joined))
    }

    fn live(&self, mls: Group<Config>) -> LiveGroup {
        LiveGroup {
            mls,
            desk: self.desk.clone(),
            me: self.me,
            stored: Zeroizing::default(),
        }
    }
}

/// Whether a GroupInfo's `external_pub` is one X25519 key in MLS' form. mls-rs would read one without its length, too,
/// wherever the first byte of the key happens to be less than what follows, and seal to what is left.
fn is_way_in(extensions: &ExtensionList) -> bool {
    extensions
        .get(ExtensionType::EXTERNAL_PUB)
        .is_some_and(|found| found.extension_data.len() == 1 + KEM_KEY_BYTES && usize::from(found.extension_data[0]) == KEM_KEY_BYTES)
}

fn no_information() -> GroupError {
    GroupError::Unexpected("group information")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mls_rs::Extension;

    fn with(external_pub: Vec<u8>) -> ExtensionList {
        let mut extensions = ExtensionList::new();
        extensions.set(Extension::new(ExtensionType::EXTERNAL_PUB, external_pub));
        extensions
    }

    #[test]
    fn a_way_in_is_one_key_with_its_length_whatever_it_begins_with() {
        assert!(!is_way_in(&ExtensionList::new()));
        for first in 0..=u8::MAX {
            let mut key = vec![7; KEM_KEY_BYTES];
            key[0] = first;
            let with_length = [&[32], &*key].concat();
            assert!(is_way_in(&with(with_length.clone())));
            assert!(!is_way_in(&with(key)), "without its length, {first}");
            assert!(!is_way_in(&with([&*with_length, &[0]].concat())));
        }
        assert!(!is_way_in(&with(vec![])));
    }
}
