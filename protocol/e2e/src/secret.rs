//! Secrets: wiped on drop, `[redacted]` in `Debug`, compared in constant time, without `Serialize`.
//!
//! Each use has its own type, so that one key can't stand in for another.

use rand::CryptoRng;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes over secret bytes.
            #[must_use]
            pub fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The secret itself.
            #[must_use]
            pub fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[redacted]")
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.ct_eq(&other.0).into()
            }
        }

        impl Eq for $name {}
    )*};
}

secrets! {
    /// A password after Argon2id.
    Stretched
    /// What signs in: sent to the server, which keeps a hash of it. From the password or from the recovery code.
    Auth
    /// Seals the master key; never leaves the device. From the password.
    WrapKey
    /// Seals the master key; never leaves the device. From the recovery code.
    RecoveryWrapKey
    /// Seals the keyring.
    MasterKey
    /// Seed of an Ed25519 key: an identity's or a device's.
    SigningSeed
    /// Seed of an X25519 backup key.
    BackupSeed
    /// Seals one file.
    FileKey
    /// Seals the values of the local store.
    StorageKey
}

macro_rules! random {
    ($($name:ident)*) => {$(
        impl $name {
            /// Draws a new one.
            #[must_use]
            pub fn random(rng: &mut impl CryptoRng) -> Self {
                let mut secret = Self([0; 32]);
                rng.fill_bytes(&mut secret.0);
                secret
            }
        }
    )*};
}

random! { MasterKey SigningSeed BackupSeed FileKey StorageKey }

/// A password as typed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// Takes over a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Opened bytes: wiped on drop, `[redacted]` in `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes over secret bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<Zeroizing<Vec<u8>>> for SecretBytes {
    fn from(mut bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(std::mem::take(&mut *bytes))
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", MasterKey::new([7; 32])), "[redacted]");
        assert_eq!(format!("{:?}", Password::new("hunter2".into())), "[redacted]");
        assert_eq!(format!("{:?}", SecretBytes::new(vec![7; 32])), "[redacted]");
    }

    #[test]
    fn secrets_compare_by_value() {
        assert_eq!(FileKey::new([1; 32]), FileKey::new([1; 32]));
        assert_ne!(FileKey::new([1; 32]), FileKey::new([2; 32]));
    }
}
