//! mls-rs, set up for one device: where groups come from.
//!
//! A group is made, joined by a Welcome, or taken up again from what was stored. Who joins
//! checks the whole group by the rules, as it saw none of the commits that made it.

use super::{
    error::GroupError,
    extension::{Charter, MemberDevice},
    group::{LiveGroup, time},
    provider::{Config, Desk, LeafRefused, MlsClient, Papers, client},
    rules::{Leaf, check_group},
};
use crate::{credential::Credential, device::DeviceKey, id::ConversationId};
use mls_rs::{Group, MlsMessage, MlsMessageDescription, group::ExportedTree};
use mls_rs_core::key_package::KeyPackageData;
use std::time::Duration;
use zeroize::Zeroizing;

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

/// mls-rs, set up for one device.
#[derive(Debug)]
pub struct Engine {
    desk: Desk,
    mls: MlsClient,
    me: MemberDevice,
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
        })
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
        }
    }
}
