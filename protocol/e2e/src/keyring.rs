//! The keyring: an account's lasting secrets, kept by the server as bytes it can't read.
//!
//! ```text
//!  u8 1
//!  ‖ u64 version ‖ u32 m-kib ‖ u32 t ‖ u32 p   those under which the recovery seal was made
//!  ‖ master key sealed under recovery-wrap 60
//!  ‖ master key sealed under wrap 60           under this keyring's version and work factors
//!  ‖ keyring sealed under the master key       under this keyring's version and work factors
//!
//!  keyring = u8 1 ‖ identity seed 32 ‖ u16 count ‖ count × (u32 generation ‖ backup seed 32)
//! ```
//!
//! Additional data of each seal: `"fastchat keyring v1" ‖ username ‖ u64
//! version ‖ u32 m-kib ‖ u32 t ‖ u32 p`. Version and work factors of the
//! keyring itself are not in it: they come from the server's answer or the
//! device's memory, and a keyring that was sealed under others does not open.
//! A change of password can't redo the recovery seal (the code is on paper), so
//! that seal names its own; what it opens is the master key alone, and the
//! keyring under it is bound to its version all the same.

mod contents;

pub use contents::Keyring;

use crate::{
    password::Kdf,
    seal::{SEAL_BYTES, open, seal},
    secret::{MasterKey, RecoveryWrapKey, WrapKey},
    username::Username,
};
use rand::CryptoRng;

const LABEL: &[u8] = b"fastchat keyring v1";
const FORMAT: u8 = 1;
const SEALED_MASTER_BYTES: usize = 32 + SEAL_BYTES;

/// What a keyring is bound to: nothing else opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Whose it is.
    pub username: Username,
    /// Counts its changes, from [`Binding::FIRST_VERSION`].
    pub version: u64,
    /// The work factors of the password.
    pub kdf: Kdf,
}

impl Binding {
    /// The version of a keyring at registration.
    pub const FIRST_VERSION: u64 = 1;

    fn additional_data(&self, version: u64, kdf: &[u8; 12]) -> Vec<u8> {
        [LABEL, self.username.as_str().as_bytes(), &version.to_be_bytes(), kdf].concat()
    }

    fn own(&self) -> Vec<u8> {
        self.additional_data(self.version, &self.kdf.to_bytes())
    }
}

/// Why a keyring does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// Of a format that this client does not know.
    #[error("the keyring has format {0}; this client knows format 1: update it")]
    Format(u8),
    /// Not a keyring at all.
    #[error("the keyring from the server is cut off or malformed: do not trust this server before its operator explains")]
    Malformed,
    /// The server took the password or the code, yet what it keeps does not open with it.
    #[error(
        "the keyring from the server does not open: it is an older one, another account's, or was changed; do not trust this server before its operator explains"
    )]
    Unopened,
}

/// Seals a keyring under a master key, and the master key under both wraps.
#[must_use]
pub fn seal_keyring(
    keyring: &Keyring,
    master: &MasterKey,
    binding: &Binding,
    wrap: &WrapKey,
    recovery_wrap: &RecoveryWrapKey,
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let own = binding.own();
    [
        &[FORMAT][..],
        &binding.version.to_be_bytes(),
        &binding.kdf.to_bytes(),
        &seal(recovery_wrap.expose(), &own, master.expose(), rng),
        &seal(wrap.expose(), &own, master.expose(), rng),
        &seal(master.expose(), &own, &keyring.encode(), rng),
    ]
    .concat()
}

/// Opens a keyring with what came from the password.
///
/// # Errors
/// [`KeyringError`]: another format; cut off; sealed under another password, version, name or work factors.
pub fn open_with_password(sealed: &[u8], binding: &Binding, wrap: &WrapKey) -> Result<(MasterKey, Keyring), KeyringError> {
    let parts = Parts::split(sealed)?;
    let master = open_master(wrap.expose(), &binding.own(), parts.wrapped)?;
    parts.open(master, binding)
}

/// Opens a keyring with what came from the recovery code.
///
/// # Errors
/// [`KeyringError`]: another format; cut off; sealed under another code, version, name or work factors.
pub fn open_with_recovery_code(
    sealed: &[u8],
    binding: &Binding,
    recovery_wrap: &RecoveryWrapKey,
) -> Result<(MasterKey, Keyring), KeyringError> {
    let parts = Parts::split(sealed)?;
    let then = binding.additional_data(parts.recovery_version, parts.recovery_kdf);
    let master = open_master(recovery_wrap.expose(), &then, parts.recovery_wrapped)?;
    parts.open(master, binding)
}

/// Seals a keyring for another password: the master key under the new wrap, and the same keyring under the new version
/// and work factors. The recovery seal stays as it is, byte for byte, and so does everything that is sealed.
///
/// `binding` is that of the keyring as it will be; `master` and `keyring` are what the old one opened to.
///
/// # Errors
/// [`KeyringError`] where `sealed` is no keyring.
pub fn reseal_for_password(
    sealed: &[u8],
    keyring: &Keyring,
    master: &MasterKey,
    binding: &Binding,
    wrap: &WrapKey,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, KeyringError> {
    let parts = Parts::split(sealed)?;
    let own = binding.own();
    Ok([
        &[FORMAT][..],
        &parts.recovery_version.to_be_bytes(),
        parts.recovery_kdf,
        parts.recovery_wrapped,
        &seal(wrap.expose(), &own, master.expose(), rng),
        &seal(master.expose(), &own, &keyring.encode(), rng),
    ]
    .concat())
}

fn open_master(key: &[u8; 32], additional: &[u8], sealed: &[u8]) -> Result<MasterKey, KeyringError> {
    let plain = open(key, additional, sealed).map_err(|_| KeyringError::Unopened)?;
    let master = plain.as_slice().try_into().map_err(|_| KeyringError::Malformed)?;
    Ok(MasterKey::new(master))
}

struct Parts<'a> {
    recovery_version: u64,
    recovery_kdf: &'a [u8; 12],
    recovery_wrapped: &'a [u8; SEALED_MASTER_BYTES],
    wrapped: &'a [u8; SEALED_MASTER_BYTES],
    keyring: &'a [u8],
}

impl<'a> Parts<'a> {
    fn split(sealed: &'a [u8]) -> Result<Self, KeyringError> {
        fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N], KeyringError> {
            let (head, rest) = bytes.split_first_chunk().ok_or(KeyringError::Malformed)?;
            *bytes = rest;
            Ok(head)
        }
        let mut rest = sealed;
        let [format] = *take(&mut rest)?;
        if format != FORMAT {
            return Err(KeyringError::Format(format));
        }
        Ok(Self {
            recovery_version: u64::from_be_bytes(*take(&mut rest)?),
            recovery_kdf: take(&mut rest)?,
            recovery_wrapped: take(&mut rest)?,
            wrapped: take(&mut rest)?,
            keyring: rest,
        })
    }

    fn open(&self, master: MasterKey, binding: &Binding) -> Result<(MasterKey, Keyring), KeyringError> {
        let plain = open(master.expose(), &binding.own(), self.keyring).map_err(|_| KeyringError::Unopened)?;
        Ok((master, Keyring::decode(&plain)?))
    }
}

#[cfg(test)]
mod tests;
