//! Keys derived from the fleet's key, one for each use, so that none can stand in for another.
//!
//! `HMAC-SHA256(fleet key, label ‖ 0 ‖ context)`: HKDF-Expand's first block
//! would be the same with a counter byte; the labels keep the uses apart.

use fastchat_wire::{Secret, Secret32, encoding::base64url};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The fleet's key, known to servers, balancers and the control plane only.
#[derive(Debug, Clone)]
pub(crate) struct FleetKey(Secret32);

impl FleetKey {
    /// Takes the key from a spec.
    pub(crate) fn new(key: Secret32) -> Self {
        Self(key)
    }

    /// HMAC-SHA256 under the key for one use.
    pub(crate) fn derive(&self, label: &str, context: &[u8]) -> [u8; 32] {
        // HMAC takes keys of any length.
        #[expect(clippy::expect_used, reason = "HMAC accepts every key length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).expect("HMAC accepts every key length");
        mac.update(label.as_bytes());
        mac.update(&[0]);
        mac.update(context);
        mac.finalize().into_bytes().into()
    }

    /// What a server shows a balancer in `attach`.
    pub(crate) fn attach_token(&self, server: &str) -> Secret {
        Secret::new(base64url(&self.derive("fastchat attach v1", server.as_bytes())))
    }

    /// A made-up salt for an unknown name: the same on every server, always.
    pub(crate) fn decoy_salt(&self, username: &str) -> [u8; 16] {
        let derived = self.derive("fastchat decoy salt v1", username.as_bytes());
        std::array::from_fn(|i| derived[i])
    }
}

/// Compares secrets in constant time.
pub(crate) fn same(a: &Secret, b: &Secret) -> bool {
    a.expose().as_bytes().ct_eq(b.expose().as_bytes()).into()
}
