//! A group as it is seen without its secrets: what everybody who reads the log can judge.
//!
//! A commit that a member can't apply is either no good for anybody, or good for others: its author broke the secrets
//! that it carries for this member. An observer tells the two apart. It looks at signatures, at the rules and at the
//! tree, at nothing that is secret; so all members judge alike, whoever could apply the commit and whoever could not.
//! And as it goes on with the log, it knows which group the others are in by now: a member comes back into that one
//! and into no other.

use super::{
    error::GroupError,
    extension::{CHARTER_TYPE, MemberDevice},
    group::{LiveGroup, expected},
    provider::{Leaves, SUITE},
    rules::{GroupRules, Leaf, leaves},
};
use mls_rs::{
    MlsMessage,
    extension::ExtensionType,
    external_client::{
        ExternalClient, ExternalGroup, ExternalReceivedMessage, ExternalSnapshot,
        builder::{ExternalBaseConfig, WithCryptoProvider, WithIdentityProvider, WithMlsRules},
    },
    group::ContentType,
};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

type Config = WithMlsRules<GroupRules, WithIdentityProvider<Leaves, WithCryptoProvider<RustCryptoProvider, ExternalBaseConfig>>>;

/// What a commit did, as it is seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Who made it.
    pub(crate) author: Leaf,
}

/// A group without its secrets.
pub(crate) struct Observer(pub(super) ExternalGroup<Config>);

impl Observer {
    /// Of the state that a member has.
    pub(crate) fn of(group: &LiveGroup) -> Result<Self, GroupError> {
        let info = group.mls.group_info_message(true).map_err(GroupError::making)?;
        // No time is given: a member whose key package has run out since it joined is a member all the same.
        let observed = client().observe_group(info, None, None).map_err(GroupError::making)?;
        Ok(Self(observed))
    }

    /// Takes up what was stored.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, GroupError> {
        let snapshot = ExternalSnapshot::from_bytes(bytes).map_err(GroupError::Damaged)?;
        Ok(Self(client().load_group(snapshot).map_err(GroupError::Damaged)?))
    }

    /// To be stored.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, GroupError> {
        self.0.snapshot().to_bytes().map_err(GroupError::making)
    }

    /// Goes on with a commit. After an error it is to be dropped, and taken up again.
    pub(crate) fn process(&mut self, commit: &[u8]) -> Result<Seen, GroupError> {
        let before = leaves(&self.0.roster())?;
        let context = self.0.group_context();
        let message = expected(commit, ContentType::Commit, "commit", context.group_id(), context.epoch())?;
        let ExternalReceivedMessage::Commit(done) = self.0.process_incoming_message(message).map_err(GroupError::received)? else {
            return Err(GroupError::Unexpected("commit"));
        };
        let after = leaves(&self.0.roster())?;
        let author = before.get(&done.committer).filter(|_| !done.is_external);
        let author = author.or_else(|| after.get(&done.committer)).ok_or(GroupError::NoMember)?;
        Ok(Seen { author: *author })
    }

    /// Whether a device is in.
    pub(crate) fn has(&self, device: MemberDevice) -> Result<bool, GroupError> {
        Ok(leaves(&self.0.roster())?.values().any(|leaf| leaf.who == device))
    }

    /// Whether a GroupInfo is of the very state that the log leads to.
    pub(crate) fn is_shown_by(&self, group_info: &[u8]) -> Result<bool, GroupError> {
        let message = MlsMessage::from_bytes(group_info).map_err(|_| GroupError::Unexpected("group information"))?;
        let info = message.as_group_info().ok_or(GroupError::Unexpected("group information"))?;
        Ok(info.group_context() == self.0.group_context())
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer")
            .field("epoch", &self.0.group_context().epoch())
            .finish_non_exhaustive()
    }
}

fn client() -> ExternalClient<Config> {
    ExternalClient::builder()
        .crypto_provider(RustCryptoProvider::with_enabled_cipher_suites(vec![SUITE]))
        .identity_provider(Leaves)
        .mls_rules(GroupRules)
        .extension_types([CHARTER_TYPE, ExtensionType::LAST_RESORT_KEY_PACKAGE])
        .build()
}
