//! What mls-rs is given to work with: who a leaf is, and a desk for keys and states.
//!
//! - [`Leaves`] reads credentials. A leaf is good if its credential verifies and the
//!   leaf's signature key is the credential's device key. It knows no pins, no server
//!   and no clock, so that every client accepts the same commits.
//! - [`Desk`] is where mls-rs finds and leaves states and key packages while it works.
//!   It is memory only: [`crate::groups`] lays out what an operation needs and
//!   collects what it left, so that everything is written in one transaction.

use super::{
    extension::{CHARTER_TYPE, MemberDevice},
    rules::{GroupRules, Leaf},
};
use crate::{
    credential::{Credential, CredentialError},
    device::{DeviceKey, DevicePublicKey},
    id::{AccountId, DeviceId},
    identity::IdentityPublicKey,
};
use mls_rs::{
    CipherSuite, Client, ExtensionList, GroupStateStorage, IdentityProvider, KeyPackageStorage,
    client_builder::{
        BaseConfig, ClientBuilder, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider, WithKeyPackageRepo, WithMlsRules,
    },
    error::IntoAnyError,
    extension::ExtensionType,
    identity::{CredentialType, SigningIdentity, basic::BasicCredential},
    time::MlsTime,
};
use mls_rs_core::{
    crypto::SignatureSecretKey,
    group::{EpochRecord, GroupState},
    identity::MemberValidationContext,
    key_package::KeyPackageData,
};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use zeroize::Zeroizing;

/// `MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519`.
pub const SUITE: CipherSuite = CipherSuite::CURVE25519_AES128;
/// How long a key package may be used.
pub const KEY_PACKAGE_LIFETIME: Duration = Duration::from_hours(90 * 24);

/// mls-rs' client, as FastChat sets it up.
pub type MlsClient = Client<Config>;
/// Its configuration.
pub type Config = WithMlsRules<
    GroupRules,
    WithIdentityProvider<Leaves, WithGroupStateStorage<Desk, WithKeyPackageRepo<Desk, WithCryptoProvider<RustCryptoProvider, BaseConfig>>>>,
>;

/// Why a leaf is nobody. The device that made it is faulty or hostile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafRefused {
    /// Not a basic credential.
    #[error("the leaf's credential is not of FastChat's kind: do not trust this device")]
    Kind,
    /// A credential that does not verify.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// Signed with another key than the one that the identity vouched for.
    #[error("the leaf's key is not the one in its credential: do not trust this device")]
    Key,
    /// FastChat's groups have no external senders.
    #[error("the group lets an outsider propose changes: leave this conversation")]
    ExternalSender,
}

impl IntoAnyError for LeafRefused {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(self.into())
    }
}

/// The identity provider: credentials, and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Leaves;

/// Where account and device stand in a credential.
const IDENTITY: std::ops::Range<usize> = 1..33;

fn carried(identity: &SigningIdentity) -> Result<&[u8], LeafRefused> {
    match identity.credential.as_basic() {
        Some(credential) => Ok(credential.identifier()),
        None => Err(LeafRefused::Kind),
    }
}

/// Who a leaf is that was verified when it came in. Nothing is verified again, as this is asked often.
pub(crate) fn known_leaf(identity: &SigningIdentity) -> Result<Leaf, LeafRefused> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], LeafRefused> {
        let (head, rest) = bytes.split_first_chunk().ok_or(CredentialError::Truncated)?;
        *bytes = rest;
        Ok(*head)
    }
    let mut bytes = carried(identity)?;
    let [_version] = take(&mut bytes)?;
    Ok(Leaf {
        who: MemberDevice {
            account: AccountId(take(&mut bytes)?),
            device: DeviceId(take(&mut bytes)?),
        },
        device_key: DevicePublicKey(take(&mut bytes)?),
        identity_key: IdentityPublicKey(take(&mut bytes)?),
    })
}

/// The same, with everything that its credential says.
pub(crate) fn known_credential(identity: &SigningIdentity) -> Result<Credential, LeafRefused> {
    Ok(Credential::known(carried(identity)?)?)
}

/// Reads a leaf's credential and compares the keys.
///
/// # Errors
/// [`LeafRefused`].
pub fn verify_leaf(identity: &SigningIdentity) -> Result<Credential, LeafRefused> {
    let credential = Credential::verify(carried(identity)?)?;
    if credential.subject().device_key.as_bytes()[..] != *identity.signature_key {
        return Err(LeafRefused::Key);
    }
    Ok(credential)
}

impl IdentityProvider for Leaves {
    type Error = LeafRefused;

    fn validate_member(&self, identity: &SigningIdentity, _: Option<MlsTime>, _: MemberValidationContext<'_>) -> Result<(), LeafRefused> {
        verify_leaf(identity).map(drop)
    }

    fn validate_external_sender(&self, _: &SigningIdentity, _: Option<MlsTime>, _: Option<&ExtensionList>) -> Result<(), LeafRefused> {
        Err(LeafRefused::ExternalSender)
    }

    fn identity(&self, identity: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, LeafRefused> {
        let bytes = carried(identity)?.get(IDENTITY).ok_or(CredentialError::Truncated)?;
        Ok(bytes.to_vec())
    }

    /// Same account, same device, both keys the same; the credential may be signed anew.
    fn valid_successor(&self, old: &SigningIdentity, new: &SigningIdentity, _: &ExtensionList) -> Result<bool, LeafRefused> {
        Ok(known_leaf(old)? == Leaf::from(verify_leaf(new)?.subject()))
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![BasicCredential::credential_type()]
    }
}

/// What lies on the desk during one operation.
#[derive(Default)]
pub(crate) struct Papers {
    /// States by group id: laid out before loading, left behind by writing.
    pub(crate) states: HashMap<Vec<u8>, Zeroizing<Vec<u8>>>,
    /// Key packages by reference: laid out before joining, left behind by generating.
    pub(crate) key_packages: HashMap<Vec<u8>, KeyPackageData>,
    /// References of one-time key packages that a join used up.
    pub(crate) used: Vec<Vec<u8>>,
}

/// Storage for mls-rs that is memory only. Clones share one desk.
#[derive(Clone, Default)]
pub struct Desk(Arc<Mutex<Papers>>);

impl Desk {
    pub(crate) fn papers(&self) -> MutexGuard<'_, Papers> {
        // Papers are replaced before each use: one that a panic left half-written is never read.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl GroupStateStorage for Desk {
    type Error = Infallible;

    fn state(&self, group_id: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.papers().states.get(group_id).cloned())
    }

    fn epoch(&self, _: &[u8], _: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(None)
    }

    fn write(&mut self, state: GroupState, _: Vec<EpochRecord>, _: Vec<EpochRecord>) -> Result<(), Infallible> {
        self.papers().states.insert(state.id, state.data);
        Ok(())
    }

    fn max_epoch_id(&self, _: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
}

impl KeyPackageStorage for Desk {
    type Error = Infallible;

    fn delete(&mut self, id: &[u8]) -> Result<(), Infallible> {
        let mut papers = self.papers();
        papers.key_packages.remove(id);
        papers.used.push(id.to_vec());
        Ok(())
    }

    fn insert(&mut self, id: Vec<u8>, package: KeyPackageData) -> Result<(), Infallible> {
        self.papers().key_packages.insert(id, package);
        Ok(())
    }

    fn get(&self, id: &[u8]) -> Result<Option<KeyPackageData>, Infallible> {
        Ok(self.papers().key_packages.get(id).cloned())
    }
}

/// Sets mls-rs up for one device.
pub(crate) fn client(credential: &Credential, key: &DeviceKey, desk: &Desk) -> MlsClient {
    let identity = BasicCredential::new(credential.as_bytes().to_vec()).into_credential();
    let public = key.public().as_bytes().to_vec().into();
    let signer = SignatureSecretKey::new(key.keypair().expose().to_vec());
    ClientBuilder::new()
        .crypto_provider(RustCryptoProvider::with_enabled_cipher_suites(vec![SUITE]))
        .key_package_repo(desk.clone())
        .group_state_storage(desk.clone())
        .identity_provider(Leaves)
        .mls_rules(GroupRules)
        .extension_types([CHARTER_TYPE, ExtensionType::LAST_RESORT_KEY_PACKAGE])
        .key_package_lifetime(KEY_PACKAGE_LIFETIME)
        .signing_identity(SigningIdentity::new(identity, public), signer, SUITE)
        .build()
}
