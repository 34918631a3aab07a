//! MLS without our rules: what somebody sends who keeps none.

use bytes::Bytes;
use fastchat_e2e::{
    DeviceKey,
    mls::{extension::CHARTER_TYPE, provider::SUITE},
};
use mls_rs::{
    Client, ExtensionList, IdentityProvider, MlsMessage,
    identity::{CredentialType, SigningIdentity, basic::BasicCredential},
    mls_rules::{CommitOptions, DefaultMlsRules},
    time::MlsTime,
};
use mls_rs_core::{crypto::SignatureSecretKey, identity::MemberValidationContext};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use std::convert::Infallible;

/// Believes everybody.
#[derive(Clone, Copy)]
struct Anybody;

impl IdentityProvider for Anybody {
    type Error = Infallible;
    fn validate_member(&self, _: &SigningIdentity, _: Option<MlsTime>, _: MemberValidationContext<'_>) -> Result<(), Infallible> {
        Ok(())
    }
    fn validate_external_sender(&self, _: &SigningIdentity, _: Option<MlsTime>, _: Option<&ExtensionList>) -> Result<(), Infallible> {
        Ok(())
    }
    fn identity(&self, identity: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, Infallible> {
        Ok(identity.signature_key.to_vec())
    }
    fn valid_successor(&self, _: &SigningIdentity, _: &SigningIdentity, _: &ExtensionList) -> Result<bool, Infallible> {
        Ok(true)
    }
    fn supported_types(&self) -> Vec<CredentialType> {
        vec![BasicCredential::credential_type()]
    }
}

/// Joins a conversation from outside, whoever that is.
pub(super) fn external_commit(credential: &[u8], key: &DeviceKey, group_info: &[u8]) -> Bytes {
    let identity = SigningIdentity::new(
        BasicCredential::new(credential.to_vec()).into_credential(),
        key.public().as_bytes().to_vec().into(),
    );
    let secret = SignatureSecretKey::new(key.keypair().expose().to_vec());
    let client = Client::builder()
        .crypto_provider(RustCryptoProvider::new())
        .identity_provider(Anybody)
        .mls_rules(DefaultMlsRules::new().with_commit_options(CommitOptions::new().with_allow_external_commit(true)))
        .extension_type(CHARTER_TYPE)
        .signing_identity(identity, secret, SUITE)
        .build();
    let info = MlsMessage::from_bytes(group_info).expect("the server keeps it");
    let (_, commit) = client.commit_external(info).expect("MLS alone allows it");
    commit.to_bytes().expect("a commit").into()
}
