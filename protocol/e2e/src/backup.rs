//! The public half of a backup key: what records of the archive are sealed to.
//!
//! Daily use needs this half alone. The seed stands in the keyring and is
//! needed when a new device restores.

use crate::secret::BackupSeed;
use std::fmt;
use x25519_dalek::{PublicKey, StaticSecret};

/// An X25519 public key, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackupPublicKey(pub [u8; 32]);

impl BackupPublicKey {
    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl BackupSeed {
    /// The public half (RFC 7748).
    #[must_use]
    pub fn public(&self) -> BackupPublicKey {
        BackupPublicKey(PublicKey::from(&StaticSecret::from(*self.expose())).to_bytes())
    }
}

impl fmt::Debug for BackupPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
