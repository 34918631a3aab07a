//! An account's identity: an Ed25519 key that signs its devices' credentials.
//!
//! Its seed lives in the keyring. It is needed at sign-in only, to sign the new
//! device's credential; then the client drops it.

use crate::{id::InvalidKey, secret::SigningSeed};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use rand::CryptoRng;
use std::fmt;

/// The signing half of an identity. Wiped on drop.
pub struct IdentityKey(SigningKey);

impl IdentityKey {
    /// The key of a seed (RFC 8032).
    #[must_use]
    pub fn from_seed(seed: &SigningSeed) -> Self {
        Self(SigningKey::from_bytes(seed.expose()))
    }

    /// Draws a new one.
    #[must_use]
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self::from_seed(&SigningSeed::random(rng))
    }

    /// The seed, for the keyring.
    #[must_use]
    pub fn seed(&self) -> SigningSeed {
        SigningSeed::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> IdentityPublicKey {
        IdentityPublicKey(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The public half of an identity, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentityPublicKey(pub [u8; 32]);

impl IdentityPublicKey {
    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the identity signed these bytes. Keys of small order sign nothing.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

impl TryFrom<&[u8]> for IdentityPublicKey {
    type Error = InvalidKey;
    fn try_from(bytes: &[u8]) -> Result<Self, InvalidKey> {
        bytes.try_into().map(Self).map_err(|_| InvalidKey)
    }
}

impl fmt::Debug for IdentityPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
