//! A device's own Ed25519 key: the signature key of its MLS leaves.
//!
//! Made on the device; it never leaves it. Locally it stands in the sealed store.

use crate::{
    id::InvalidKey,
    secret::{SecretBytes, SigningSeed},
};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use rand::CryptoRng;
use std::fmt;

/// The signing half of a device. Wiped on drop.
pub struct DeviceKey(SigningKey);

impl DeviceKey {
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

    /// The seed, for the sealed store.
    #[must_use]
    pub fn seed(&self) -> SigningSeed {
        SigningSeed::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> DevicePublicKey {
        DevicePublicKey(self.0.verifying_key().to_bytes())
    }

    /// Seed and public key in one, as MLS libraries take an Ed25519 key.
    #[must_use]
    pub fn keypair(&self) -> SecretBytes {
        SecretBytes::new(self.0.to_keypair_bytes().to_vec())
    }

    /// Signs bytes that start with a label of their own.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The public half of a device, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DevicePublicKey(pub [u8; 32]);

impl DevicePublicKey {
    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the device signed these bytes. Keys of small order sign nothing.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

impl TryFrom<&[u8]> for DevicePublicKey {
    type Error = InvalidKey;
    fn try_from(bytes: &[u8]) -> Result<Self, InvalidKey> {
        bytes.try_into().map(Self).map_err(|_| InvalidKey)
    }
}

impl fmt::Debug for DevicePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
