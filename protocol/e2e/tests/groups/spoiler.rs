//! A member whose commits are good to look at, and carry secrets that do not open.

use crate::hostile::{Anybody, secret, signing_identity};
use fastchat_e2e::{
    DeviceKey,
    mls::{extension::CHARTER_TYPE, provider::SUITE},
};
use mls_rs::{
    CipherSuite, CipherSuiteProvider, Client, CryptoProvider,
    client_builder::MlsConfig,
    mls_rules::{CommitOptions, DefaultMlsRules},
};
use mls_rs_core::crypto::{HpkeCiphertext, HpkePsk, HpkePublicKey, HpkeSecretKey, SignaturePublicKey, SignatureSecretKey};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use zeroize::Zeroizing;

type Honest = <RustCryptoProvider as CryptoProvider>::CipherSuiteProvider;
type Failure = <Honest as CipherSuiteProvider>::Error;

/// How many of the next secrets are spoilt.
#[derive(Clone, Default)]
pub(super) struct Spoils(Arc<AtomicUsize>);

impl Spoils {
    pub(super) fn next(&self, count: usize) {
        self.0.store(count, Ordering::Relaxed);
    }

    fn is_due(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// MLS without our rules, on such cryptography.
pub(super) fn spoiler(credential: &[u8], key: &DeviceKey, spoils: &Spoils) -> Client<impl MlsConfig + use<>> {
    Client::builder()
        .crypto_provider(Provider(spoils.clone()))
        .identity_provider(Anybody)
        .mls_rules(DefaultMlsRules::new().with_commit_options(CommitOptions::new().with_allow_external_commit(true)))
        .extension_type(CHARTER_TYPE)
        .signing_identity(signing_identity(credential, key), secret(key), SUITE)
        .build()
}

#[derive(Clone)]
struct Provider(Spoils);

impl CryptoProvider for Provider {
    type CipherSuiteProvider = Suite;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        vec![SUITE]
    }

    fn cipher_suite_provider(&self, suite: CipherSuite) -> Option<Suite> {
        let honest = RustCryptoProvider::new().cipher_suite_provider(suite)?;
        Some(Suite {
            honest,
            spoils: self.0.clone(),
        })
    }
}

#[derive(Clone)]
struct Suite {
    honest: Honest,
    spoils: Spoils,
}

impl CipherSuiteProvider for Suite {
    type Error = Failure;
    type HpkeContextS = <Honest as CipherSuiteProvider>::HpkeContextS;
    type HpkeContextR = <Honest as CipherSuiteProvider>::HpkeContextR;

    /// The one that is not honest.
    fn hpke_seal(&self, to: &HpkePublicKey, info: &[u8], aad: Option<&[u8]>, pt: &[u8]) -> Result<HpkeCiphertext, Failure> {
        let mut sealed = self.honest.hpke_seal(to, info, aad, pt)?;
        if self.spoils.is_due() {
            sealed.ciphertext[0] ^= 1;
        }
        Ok(sealed)
    }

    fn cipher_suite(&self) -> CipherSuite {
        self.honest.cipher_suite()
    }
    fn hash(&self, data: &[u8]) -> Result<Vec<u8>, Failure> {
        self.honest.hash(data)
    }
    fn mac(&self, key: &[u8], data: &[u8]) -> Result<Vec<u8>, Failure> {
        self.honest.mac(key, data)
    }
    fn aead_seal(&self, key: &[u8], data: &[u8], aad: Option<&[u8]>, nonce: &[u8]) -> Result<Vec<u8>, Failure> {
        self.honest.aead_seal(key, data, aad, nonce)
    }
    fn aead_open(&self, key: &[u8], sealed: &[u8], aad: Option<&[u8]>, nonce: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.honest.aead_open(key, sealed, aad, nonce)
    }
    fn aead_key_size(&self) -> usize {
        self.honest.aead_key_size()
    }
    fn aead_nonce_size(&self) -> usize {
        self.honest.aead_nonce_size()
    }
    fn kdf_extract(&self, salt: &[u8], ikm: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.honest.kdf_extract(salt, ikm)
    }
    fn kdf_expand(&self, prk: &[u8], info: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.honest.kdf_expand(prk, info, len)
    }
    fn kdf_extract_size(&self) -> usize {
        self.honest.kdf_extract_size()
    }
    fn hpke_seal_psk(
        &self,
        to: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        pt: &[u8],
        psk: HpkePsk<'_>,
    ) -> Result<HpkeCiphertext, Failure> {
        self.honest.hpke_seal_psk(to, info, aad, pt, psk)
    }
    fn hpke_open(
        &self,
        sealed: &HpkeCiphertext,
        secret: &HpkeSecretKey,
        public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.honest.hpke_open(sealed, secret, public, info, aad)
    }
    fn hpke_open_psk(
        &self,
        sealed: &HpkeCiphertext,
        secret: &HpkeSecretKey,
        public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        psk: HpkePsk<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.honest.hpke_open_psk(sealed, secret, public, info, aad, psk)
    }
    fn hpke_setup_s(&self, to: &HpkePublicKey, info: &[u8]) -> Result<(Vec<u8>, Self::HpkeContextS), Failure> {
        self.honest.hpke_setup_s(to, info)
    }
    fn hpke_setup_r(
        &self,
        kem_output: &[u8],
        secret: &HpkeSecretKey,
        public: &HpkePublicKey,
        info: &[u8],
    ) -> Result<Self::HpkeContextR, Failure> {
        self.honest.hpke_setup_r(kem_output, secret, public, info)
    }
    fn kem_derive(&self, ikm: &[u8]) -> Result<(HpkeSecretKey, HpkePublicKey), Failure> {
        self.honest.kem_derive(ikm)
    }
    fn kem_generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), Failure> {
        self.honest.kem_generate()
    }
    fn kem_public_key_validate(&self, key: &HpkePublicKey) -> Result<(), Failure> {
        self.honest.kem_public_key_validate(key)
    }
    fn random_bytes(&self, out: &mut [u8]) -> Result<(), Failure> {
        self.honest.random_bytes(out)
    }
    fn signature_key_generate(&self) -> Result<(SignatureSecretKey, SignaturePublicKey), Failure> {
        self.honest.signature_key_generate()
    }
    fn signature_key_derive_public(&self, secret: &SignatureSecretKey) -> Result<SignaturePublicKey, Failure> {
        self.honest.signature_key_derive_public(secret)
    }
    fn sign(&self, secret: &SignatureSecretKey, data: &[u8]) -> Result<Vec<u8>, Failure> {
        self.honest.sign(secret, data)
    }
    fn verify(&self, public: &SignaturePublicKey, signature: &[u8], data: &[u8]) -> Result<(), Failure> {
        self.honest.verify(public, signature, data)
    }
}
