//! The recovery code: 256 random bits on paper, for who forgot the password.
//!
//! ```text
//!  32 random bytes ‖ first 3 bytes of SHA-256("fastchat recovery code v1" ‖ the 32 bytes)
//!    = 35 bytes = 56 characters of Crockford's base32, in 14 groups of 4:
//!  7ZQG-1M4T-…
//! ```
//!
//! The alphabet leaves out I, L, O and U. Reading is lenient where no doubt
//! can arise (case, spaces, hyphens, O for 0, I and L for 1) and the checksum
//! catches what was mistyped.

use crate::{
    password::expand,
    secret::{Auth, RecoveryWrapKey},
};
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHECKSUM_LABEL: &[u8] = b"fastchat recovery code v1";
const CODE_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 3;
const GROUP_CHARS: usize = 4;

/// Characters of a code, hyphens not counted.
pub const RECOVERY_CODE_CHARS: usize = (CODE_BYTES + CHECKSUM_BYTES) * 8 / 5;

/// A recovery code. Wiped on drop.
#[derive(Clone, ZeroizeOnDrop)]
pub struct RecoveryCode([u8; CODE_BYTES]);

/// Why a text is no recovery code. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryCodeError {
    /// A character that no code has.
    #[error("a recovery code has letters and digits only, and never a U: check character {position}")]
    Character {
        /// Which one, from 1, hyphens and spaces not counted.
        position: usize,
    },
    /// Too few or too many characters.
    #[error("a recovery code has 56 characters in 14 groups; this has {found}: check that no group is missing or written twice")]
    Length {
        /// Characters given, hyphens and spaces not counted.
        found: usize,
    },
    /// Something was mistyped.
    #[error("the recovery code has a typing error: compare it with what you wrote down, group by group")]
    Checksum,
}

impl RecoveryCode {
    /// Draws a new one.
    #[must_use]
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut code = Self([0; CODE_BYTES]);
        rng.fill_bytes(&mut code.0);
        code
    }

    /// As people write it down. Show it once; keep it nowhere.
    #[must_use]
    pub fn show(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; CODE_BYTES + CHECKSUM_BYTES]);
        bytes[..CODE_BYTES].copy_from_slice(&self.0);
        bytes[CODE_BYTES..].copy_from_slice(&self.checksum());
        let mut text = Zeroizing::new(String::with_capacity(RECOVERY_CODE_CHARS * 5 / 4));
        // 5 bytes are 8 characters are two groups.
        for (i, five) in bytes.chunks_exact(5).enumerate() {
            let value = five.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
            for j in 0..8 {
                if j % GROUP_CHARS == 0 && (i, j) != (0, 0) {
                    text.push('-');
                }
                text.push(char::from(ALPHABET[(value >> (35 - 5 * j) & 31) as usize]));
            }
        }
        text
    }

    /// Reads what somebody typed.
    ///
    /// # Errors
    /// [`RecoveryCodeError`]: a character of no code, another length, a typing error.
    pub fn parse(text: &str) -> Result<Self, RecoveryCodeError> {
        let mut values = Zeroizing::new(Vec::with_capacity(text.len()));
        for c in text
            .chars()
            .filter(|c| !c.is_whitespace() && !"-\u{2010}\u{2011}\u{2013}".contains(*c))
        {
            let position = values.len() + 1;
            values.push(value_of(c).ok_or(RecoveryCodeError::Character { position })?);
        }
        if values.len() != RECOVERY_CODE_CHARS {
            return Err(RecoveryCodeError::Length { found: values.len() });
        }
        let mut bytes = Zeroizing::new([0; CODE_BYTES + CHECKSUM_BYTES]);
        for (five, eight) in bytes.chunks_exact_mut(5).zip(values.chunks_exact(8)) {
            let value = eight.iter().fold(0_u64, |value, v| value << 5 | u64::from(*v));
            five.copy_from_slice(&value.to_be_bytes()[3..]);
        }
        let mut code = Self([0; CODE_BYTES]);
        code.0.copy_from_slice(&bytes[..CODE_BYTES]);
        if bool::from(code.checksum().ct_eq(&bytes[CODE_BYTES..])) {
            Ok(code)
        } else {
            Err(RecoveryCodeError::Checksum)
        }
    }

    /// What signs in with the method `recovery`.
    #[must_use]
    pub fn auth(&self) -> Auth {
        Auth::new(*expand(&self.0, "fastchat recovery-auth v1"))
    }

    /// What seals the master key.
    #[must_use]
    pub fn wrap(&self) -> RecoveryWrapKey {
        RecoveryWrapKey::new(*expand(&self.0, "fastchat recovery-wrap v1"))
    }

    fn checksum(&self) -> [u8; CHECKSUM_BYTES] {
        let [a, b, c, ..] = <[u8; 32]>::from(Sha256::new().chain_update(CHECKSUM_LABEL).chain_update(self.0).finalize());
        [a, b, c]
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

fn value_of(c: char) -> Option<u8> {
    let c = match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        c => c,
    };
    let place = ALPHABET.iter().position(|a| char::from(*a) == c)?;
    u8::try_from(place).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> RecoveryCode {
        RecoveryCode(std::array::from_fn(|i| u8::try_from(i * 37 % 256).unwrap()))
    }

    #[test]
    fn a_shown_code_is_read_back() {
        let text = sample().show();
        assert_eq!(text.len(), 56 + 13);
        assert!(text.split('-').all(|group| group.len() == 4));
        assert_eq!(RecoveryCode::parse(&text).unwrap().0, sample().0);
    }

    #[test]
    fn case_spaces_and_look_alikes_do_not_matter() {
        let text = sample().show();
        let typed = text.to_lowercase().replace('-', "  ").replace('0', "o").replace('1', "l");
        assert_eq!(RecoveryCode::parse(&format!(" {typed}\n")).unwrap().0, sample().0);
    }

    #[test]
    fn every_single_typo_and_every_swap_of_neighbours_is_caught() {
        let text: Vec<char> = sample().show().chars().filter(|c| *c != '-').collect();
        for i in 0..text.len() {
            for wrong in ALPHABET.map(char::from).into_iter().filter(|c| *c != text[i]) {
                let mut typed = text.clone();
                typed[i] = wrong;
                let typed: String = typed.into_iter().collect();
                assert_eq!(RecoveryCode::parse(&typed).unwrap_err(), RecoveryCodeError::Checksum);
            }
            if i > 0 && text[i] != text[i - 1] {
                let mut typed = text.clone();
                typed.swap(i, i - 1);
                let typed: String = typed.into_iter().collect();
                assert_eq!(RecoveryCode::parse(&typed).unwrap_err(), RecoveryCodeError::Checksum);
            }
        }
    }

    #[test]
    fn what_is_no_code_is_told_apart() {
        assert_eq!(RecoveryCode::parse("").unwrap_err(), RecoveryCodeError::Length { found: 0 });
        assert_eq!(
            RecoveryCode::parse("AB-CU").unwrap_err(),
            RecoveryCodeError::Character { position: 4 }
        );
        assert_eq!(
            RecoveryCode::parse(&"0".repeat(57)).unwrap_err(),
            RecoveryCodeError::Length { found: 57 }
        );
    }
}
