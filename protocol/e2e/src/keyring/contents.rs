//! What stands in a keyring, and its bytes before they are sealed.

use super::KeyringError;
use crate::{
    identity::IdentityKey,
    secret::{BackupSeed, SigningSeed},
};
use rand::CryptoRng;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 1 + 32 + 2;
const BACKUP_BYTES: usize = 4 + 32;

/// The first backup key's generation.
const FIRST_GENERATION: u32 = 1;

/// An account's lasting secrets. Needed at sign-in; then dropped.
#[derive(Debug)]
pub struct Keyring {
    identity: SigningSeed,
    backups: BTreeMap<u32, BackupSeed>,
}

impl Keyring {
    /// Draws a new account's: an identity and the first backup key.
    #[must_use]
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self {
            identity: SigningSeed::random(rng),
            backups: BTreeMap::from([(FIRST_GENERATION, BackupSeed::random(rng))]),
        }
    }

    /// The identity's key.
    #[must_use]
    pub fn identity(&self) -> IdentityKey {
        IdentityKey::from_seed(&self.identity)
    }

    /// The backup key's seed of a generation: older ones open older records.
    #[must_use]
    pub fn backup(&self, generation: u32) -> Option<&BackupSeed> {
        self.backups.get(&generation)
    }

    /// The newest generation of the backup key, which seals from now on.
    #[must_use]
    pub fn newest_backup(&self) -> Option<(u32, &BackupSeed)> {
        self.backups.last_key_value().map(|(generation, seed)| (*generation, seed))
    }

    /// All generations of the backup key, oldest first.
    pub fn backups(&self) -> impl Iterator<Item = (u32, &BackupSeed)> {
        self.backups.iter().map(|(generation, seed)| (*generation, seed))
    }

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        #[expect(clippy::expect_used, reason = "a keyring of 64 KiB has room for some 1,800 generations")]
        let count = u16::try_from(self.backups.len()).expect("fewer than 65,536 generations");
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD_BYTES + self.backups.len() * BACKUP_BYTES));
        bytes.push(FORMAT);
        bytes.extend_from_slice(self.identity.expose());
        bytes.extend_from_slice(&count.to_be_bytes());
        for (generation, seed) in &self.backups {
            bytes.extend_from_slice(&generation.to_be_bytes());
            bytes.extend_from_slice(seed.expose());
        }
        bytes
    }

    /// Reads opened bytes: generations ascend, nothing follows.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, KeyringError> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(KeyringError::Malformed)?;
        let [format, identity @ .., count_high, count_low] = head;
        if *format != FORMAT {
            return Err(KeyringError::Format(*format));
        }
        let (backups, trailing) = rest.as_chunks::<BACKUP_BYTES>();
        if !trailing.is_empty() || backups.len() != usize::from(u16::from_be_bytes([*count_high, *count_low])) {
            return Err(KeyringError::Malformed);
        }
        let mut keyring = Self {
            identity: SigningSeed::new(*identity),
            backups: BTreeMap::new(),
        };
        for [a, b, c, d, seed @ ..] in backups {
            let generation = u32::from_be_bytes([*a, *b, *c, *d]);
            if keyring.backups.last_key_value().is_some_and(|(last, _)| *last >= generation) {
                return Err(KeyringError::Malformed);
            }
            keyring.backups.insert(generation, BackupSeed::new(*seed));
        }
        Ok(keyring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyring_is_read_back() {
        let keyring = Keyring::random(&mut rand::rng());
        let read = Keyring::decode(&keyring.encode()).unwrap();
        assert_eq!(read.identity, keyring.identity);
        assert_eq!(read.newest_backup(), keyring.newest_backup());
        assert_eq!(read.newest_backup().unwrap().0, 1);
    }

    #[test]
    fn other_lengths_and_unordered_generations_are_malformed() {
        let mut keyring = Keyring::random(&mut rand::rng());
        keyring.backups.insert(2, BackupSeed::new([9; 32]));
        let bytes = keyring.encode();
        for length in 0..bytes.len() {
            assert_eq!(Keyring::decode(&bytes[..length]).unwrap_err(), KeyringError::Malformed);
        }
        let mut swapped = bytes.to_vec();
        swapped[HEAD_BYTES + 3] = 2;
        assert_eq!(Keyring::decode(&swapped).unwrap_err(), KeyringError::Malformed);
        assert_eq!(Keyring::decode(&[&bytes[..], &[0]].concat()).unwrap_err(), KeyringError::Malformed);
    }
}
