//! From a password to what signs in and what seals.
//!
//! The server gets [`Auth`] and keeps Argon2id of it; [`WrapKey`] never leaves
//! the device. Stretching takes [`Kdf::m_kib`] KiB of memory and a noticeable
//! part of a second: keep it off the async threads.

use crate::secret::{Auth, Password, Stretched, WrapKey};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use hkdf::Hkdf;
use sha2::Sha256;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Random bytes that make each account's stretching its own. Public; from registration.
pub type Salt = [u8; 16];

/// Work factors that this client accepts: never below those of registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kdf {
    m_kib: u32,
    t: u32,
    p: u32,
}

/// Work factors that this client refuses, or can't carry out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KdfError {
    /// Not Argon2id.
    #[error("the server asks for the password scheme \"{0}\"; this client knows argon2id: update it, or do not trust this server")]
    Algorithm(String),
    /// Weaker than at registration: a server that guesses would ask for that.
    #[error(
        "the server asks for too weak a password stretching (m={m_kib} KiB, t={t}; at least 65536 KiB and 3): do not sign in to this server"
    )]
    Weak {
        /// Memory in KiB.
        m_kib: u32,
        /// Passes.
        t: u32,
    },
    /// Heavier than any client should carry out, or of another number of lanes.
    #[error(
        "the server asks for an unreasonable password stretching (m={m_kib} KiB, t={t}, p={p}; at most 1048576 KiB, 16 and 1): ask its operator"
    )]
    Heavy {
        /// Memory in KiB.
        m_kib: u32,
        /// Passes.
        t: u32,
        /// Lanes.
        p: u32,
    },
    /// The device has not got the memory.
    #[error("not enough memory to stretch the password ({m_kib} KiB): close something and try again")]
    Memory {
        /// Memory in KiB.
        m_kib: u32,
    },
}

impl Kdf {
    /// What registration uses: 64 MiB, 3 passes, 1 lane. Also the least that is accepted.
    pub const REGISTRATION: Self = Self {
        m_kib: 64 << 10,
        t: 3,
        p: 1,
    };
    /// The most that is accepted: 1 GiB, 16 passes, 1 lane.
    pub const MAX: Self = Self {
        m_kib: 1 << 20,
        t: 16,
        p: 1,
    };
    /// The name of the only scheme.
    pub const ALGORITHM: &str = "argon2id";

    /// Checks work factors that a server named.
    ///
    /// # Errors
    /// [`KdfError`]: another scheme; below [`Kdf::REGISTRATION`]; above [`Kdf::MAX`]; not one lane.
    pub fn new(algorithm: &str, m_kib: u32, t: u32, p: u32) -> Result<Self, KdfError> {
        if algorithm != Self::ALGORITHM {
            return Err(KdfError::Algorithm(
                algorithm.chars().take(32).filter(|c| !c.is_control()).collect(),
            ));
        }
        if m_kib < Self::REGISTRATION.m_kib || t < Self::REGISTRATION.t {
            return Err(KdfError::Weak { m_kib, t });
        }
        if m_kib > Self::MAX.m_kib || t > Self::MAX.t || p != Self::MAX.p {
            return Err(KdfError::Heavy { m_kib, t, p });
        }
        Ok(Self { m_kib, t, p })
    }

    /// Memory in KiB.
    #[must_use]
    pub fn m_kib(self) -> u32 {
        self.m_kib
    }

    /// Passes.
    #[must_use]
    pub fn t(self) -> u32 {
        self.t
    }

    /// Lanes.
    #[must_use]
    pub fn p(self) -> u32 {
        self.p
    }

    /// As in the keyring's additional data: three `u32`.
    pub(crate) fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (place, value) in bytes.chunks_exact_mut(4).zip([self.m_kib, self.t, self.p]) {
            place.copy_from_slice(&value.to_be_bytes());
        }
        bytes
    }
}

/// Stretches a password (its NFC form) with Argon2id, version 0x13.
///
/// # Errors
/// [`KdfError::Memory`] where the device has not got `kdf.m_kib()` KiB.
pub fn stretch(password: &Password, salt: &Salt, kdf: Kdf) -> Result<Stretched, KdfError> {
    let memory = || KdfError::Memory { m_kib: kdf.m_kib };
    let params = Params::new(kdf.m_kib, kdf.t, kdf.p, Some(32)).map_err(|_| memory())?;
    let mut blocks = Vec::new();
    blocks.try_reserve_exact(params.block_count()).map_err(|_| memory())?;
    blocks.resize(params.block_count(), Block::default());
    let mut blocks = Zeroizing::new(blocks);
    let mut out = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(normalised(password).as_bytes(), salt, &mut *out, &mut blocks[..])
        .map_err(|_| memory())?;
    Ok(Stretched::new(*out))
}

/// The NFC form: the same password, however a keyboard composes it.
fn normalised(password: &Password) -> Zeroizing<String> {
    // NFC grows a text to at most three times its bytes: no reallocation leaves a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(3 * password.expose().len()));
    text.extend(password.expose().nfc());
    text
}

impl Stretched {
    /// What signs in.
    #[must_use]
    pub fn auth(&self) -> Auth {
        Auth::new(*expand(self.expose(), "fastchat auth v1"))
    }

    /// What seals the master key.
    #[must_use]
    pub fn wrap(&self) -> WrapKey {
        WrapKey::new(*expand(self.expose(), "fastchat wrap v1"))
    }
}

/// HKDF-SHA256 without salt: one key for each label.
pub(crate) fn expand(input: &[u8; 32], label: &str) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes")]
    Hkdf::<Sha256>::new(None, input)
        .expand(label.as_bytes(), &mut *key)
        .expect("32 bytes are fewer than 8160");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_factors_of_registration_up_to_the_largest_are_accepted() {
        assert_eq!(Kdf::new("argon2id", 64 << 10, 3, 1), Ok(Kdf::REGISTRATION));
        assert_eq!(Kdf::new("argon2id", 1 << 20, 16, 1), Ok(Kdf::MAX));
    }

    #[test]
    fn weaker_and_heavier_work_factors_are_refused() {
        for (m_kib, t) in [((64 << 10) - 1, 3), (64 << 10, 2), (0, 0)] {
            assert_eq!(Kdf::new("argon2id", m_kib, t, 1), Err(KdfError::Weak { m_kib, t }));
        }
        for (m_kib, t, p) in [((1 << 20) + 1, 3, 1), (64 << 10, 17, 1), (64 << 10, 3, 0), (64 << 10, 3, 2)] {
            assert_eq!(Kdf::new("argon2id", m_kib, t, p), Err(KdfError::Heavy { m_kib, t, p }));
        }
    }

    #[test]
    fn another_scheme_is_refused_and_its_name_can_not_draw_on_the_terminal() {
        assert_eq!(Kdf::new("md5\u{1b}[2J", 64 << 10, 3, 1), Err(KdfError::Algorithm("md5[2J".into())));
    }

    #[test]
    fn composed_and_decomposed_letters_are_one_password() {
        let composed = normalised(&Password::new("caf\u{e9}".into()));
        let decomposed = normalised(&Password::new("cafe\u{301}".into()));
        assert_eq!(composed, decomposed);
        assert_ne!(normalised(&Password::new("cafe".into())), composed);
    }
}
