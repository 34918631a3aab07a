//! Opening a batch with the account's keyring.

use super::{
    ArchiveError, Batch, SIGNATURE_BYTES, VERSION,
    seal::{NONCE, additional_data, derive, is_bounded, signed},
};
use crate::{
    backup::BackupPublicKey,
    credential::Credential,
    id::AccountId,
    identity::IdentityPublicKey,
    seal::{TAG_BYTES, cipher, open_in_place},
    secret::BackupSeed,
};
use sha2::{Digest, Sha256};
use std::fmt;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// What opens an account's archive.
pub struct Opener {
    account: AccountId,
    identity: IdentityPublicKey,
    /// Newest generation first: most batches are sealed to it.
    backups: Vec<(u32, BackupSeed, BackupPublicKey)>,
}

/// A batch that was opened, and signed by a device of the account's.
pub struct Opened {
    json: Zeroizing<Vec<u8>>,
    /// The generation of the backup key that it was sealed to.
    pub generation: u32,
    /// SHA-256 of the whole block: what `prev` of the device's next batch is.
    pub hash: [u8; 32],
}

impl Opener {
    /// With the seeds of the keyring, whose `identity` vouches for the account's devices.
    #[must_use]
    pub fn new(account: AccountId, identity: IdentityPublicKey, seeds: impl IntoIterator<Item = (u32, BackupSeed)>) -> Self {
        let with_public = seeds.into_iter().map(|(generation, seed)| {
            let public = seed.public();
            (generation, seed, public)
        });
        let mut backups: Vec<_> = with_public.collect();
        backups.sort_by_key(|(generation, _, _)| std::cmp::Reverse(*generation));
        Self {
            account,
            identity,
            backups,
        }
    }

    /// Opens a block and checks who wrote it.
    ///
    /// # Errors
    /// [`ArchiveError`]: cut off, another version, does not open, not in its form, not signed by a device of the account's.
    pub fn open(&self, block: &[u8]) -> Result<Opened, ArchiveError> {
        let (version, rest) = block.split_first().ok_or(ArchiveError::Truncated)?;
        if *version != VERSION {
            return Err(ArchiveError::Version(*version));
        }
        let (ephemeral, sealed) = rest.split_first_chunk::<32>().ok_or(ArchiveError::Truncated)?;
        let (sealed, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(ArchiveError::Truncated)?;
        let found = self
            .backups
            .iter()
            .find_map(|(generation, seed, public)| Some((*generation, self.unseal(seed, public, ephemeral, sealed, tag)?)));
        let (generation, mut json) = found.ok_or(ArchiveError::Unopened)?;
        let signature: [u8; SIGNATURE_BYTES] = *json.last_chunk().ok_or(ArchiveError::Malformed)?;
        let length = json.len() - SIGNATURE_BYTES;
        json.truncate(length);

        let opened = Opened {
            json,
            generation,
            hash: Sha256::digest(block).into(),
        };
        let batch = opened.parse()?;
        let credential = Credential::verify(&batch.credential).map_err(|_| ArchiveError::Device)?;
        let subject = credential.subject();
        if (subject.account, subject.device, subject.identity_key) != (self.account, batch.device, self.identity) {
            return Err(ArchiveError::Device);
        }
        if !subject.device_key.verifies(&signed(self.account, &opened.json), &signature) {
            return Err(ArchiveError::Signature);
        }
        if batch.n == 0 || batch.messages < batch.records.len() as u64 {
            return Err(ArchiveError::Malformed);
        }
        if !is_bounded(&batch) {
            return Err(ArchiveError::TooMany);
        }
        Ok(opened)
    }

    fn unseal(
        &self,
        seed: &BackupSeed,
        backup: &BackupPublicKey,
        ephemeral: &[u8; 32],
        sealed: &[u8],
        tag: &[u8; TAG_BYTES],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let shared = StaticSecret::from(*seed.expose()).diffie_hellman(&PublicKey::from(*ephemeral));
        let key = derive(self.account, &shared, ephemeral, backup).ok()?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let additional = additional_data(self.account, ephemeral, backup);
        open_in_place(&cipher(&key), &NONCE, &additional, &mut plain, tag).ok()?;
        Some(plain)
    }
}

impl Opened {
    /// What is in it.
    ///
    /// # Errors
    /// [`ArchiveError::Malformed`]: never for one that [`Opener::open`] gave.
    pub fn batch(&self) -> Result<Batch<'_>, ArchiveError> {
        self.parse()
    }

    fn parse(&self) -> Result<Batch<'_>, ArchiveError> {
        serde_json::from_slice(&self.json).map_err(|_| ArchiveError::Malformed)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "opener of the archive of account {}", self.account)
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
