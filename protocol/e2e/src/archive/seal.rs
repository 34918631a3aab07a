//! Sealing a batch, and the key that both sides derive.

use super::{ArchiveError, Batch, LABEL, RECORDS_MAX, STATES_MAX, VERSION};
use crate::{
    backup::BackupPublicKey,
    device::DeviceKey,
    id::AccountId,
    seal::{NONCE_BYTES, cipher, seal_in_place},
};
use hkdf::Hkdf;
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

/// Each block has a key of its own: its nonce need not differ.
pub(super) const NONCE: [u8; NONCE_BYTES] = [0; NONCE_BYTES];

/// Seals a batch to the account's backup key, signed by the device that it names.
///
/// # Errors
/// [`ArchiveError::TooMany`] beyond [`RECORDS_MAX`] or [`STATES_MAX`]; [`ArchiveError::Unopened`] for a backup key of
/// small order, to which everybody would have the key.
pub fn seal_batch(
    account: AccountId,
    key: &DeviceKey,
    backup: &BackupPublicKey,
    batch: &Batch<'_>,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, ArchiveError> {
    if !is_bounded(batch) {
        return Err(ArchiveError::TooMany);
    }
    let mut seed = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *seed);
    let ephemeral = StaticSecret::from(*seed);
    let public = PublicKey::from(&ephemeral).to_bytes();
    let key_bytes = derive(account, &ephemeral.diffie_hellman(&PublicKey::from(backup.0)), &public, backup)?;

    let json = serde_json::to_vec(batch).map(Zeroizing::new).map_err(|_| ArchiveError::Malformed)?;
    let signature = key.sign(&signed(account, &json));
    // One allocation of the final size: nothing of the plaintext is left in a smaller one.
    let mut block = Vec::with_capacity(1 + 32 + json.len() + signature.len() + crate::seal::TAG_BYTES);
    block.push(VERSION);
    block.extend_from_slice(&public);
    block.extend_from_slice(&json);
    block.extend_from_slice(&signature);
    let tag = seal_in_place(
        &cipher(&key_bytes),
        &NONCE,
        &additional_data(account, &public, backup),
        &mut block[1 + 32..],
    );
    block.extend_from_slice(&tag);
    Ok(block)
}

/// Whether it has no more in it than a batch may have.
pub(super) fn is_bounded(batch: &Batch<'_>) -> bool {
    let states = [batch.rooms.len(), batch.pins.len(), batch.gone.len()];
    batch.records.len() <= RECORDS_MAX && states.into_iter().all(|count| count <= STATES_MAX)
}

/// The block's key. Refuses a shared secret that everybody knows.
pub(super) fn derive(
    account: AccountId,
    shared: &SharedSecret,
    ephemeral: &[u8; 32],
    backup: &BackupPublicKey,
) -> Result<Zeroizing<[u8; 32]>, ArchiveError> {
    if !shared.was_contributory() {
        return Err(ArchiveError::Unopened);
    }
    let salt = [&ephemeral[..], backup.as_bytes()].concat();
    let info = [LABEL, account.as_bytes()].concat();
    let mut key = Zeroizing::new([0; 32]);
    #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8,160 bytes")]
    Hkdf::<Sha256>::new(Some(&salt), shared.as_bytes())
        .expand(&info, &mut *key)
        .expect("32 bytes");
    Ok(key)
}

pub(super) fn additional_data(account: AccountId, ephemeral: &[u8; 32], backup: &BackupPublicKey) -> Vec<u8> {
    [&[VERSION][..], account.as_bytes(), ephemeral, backup.as_bytes()].concat()
}

/// What the device signs.
pub(super) fn signed(account: AccountId, json: &[u8]) -> Vec<u8> {
    [LABEL, b"\0", account.as_bytes(), &Sha256::digest(json)].concat()
}
