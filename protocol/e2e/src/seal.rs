//! One seal for everything small: AES-256-GCM with a random 96-bit nonce in front.
//!
//! ```text
//!  nonce 12 ‖ ciphertext (as long as the plaintext) ‖ tag 16
//! ```

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, AeadInOut, Nonce, Payload, Tag},
};
use rand::CryptoRng;
use zeroize::Zeroizing;

/// How much longer than its plaintext a seal is.
pub(crate) const SEAL_BYTES: usize = NONCE_BYTES + TAG_BYTES;
/// Length of a nonce.
pub(crate) const NONCE_BYTES: usize = 12;
/// Length of a tag.
pub(crate) const TAG_BYTES: usize = 16;

/// Bytes that this key and this additional data do not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unopened;

/// Seals a value.
pub(crate) fn seal(key: &[u8; 32], additional: &[u8], plain: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    // One allocation of the final size: nothing of the plaintext is left in a smaller one.
    let mut sealed = Vec::with_capacity(plain.len() + SEAL_BYTES);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let tag = seal_in_place(&cipher(key), &nonce, additional, &mut sealed[NONCE_BYTES..]);
    sealed.extend_from_slice(&tag);
    sealed
}

/// Opens a value.
pub(crate) fn open(key: &[u8; 32], additional: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    let (nonce, msg) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(Unopened)?;
    let payload = Payload { msg, aad: additional };
    let plain = cipher(key).decrypt(&Nonce::<Aes256Gcm>::from(*nonce), payload);
    plain.map(Zeroizing::new).map_err(|_| Unopened)
}

/// The cipher under a key; it wipes its key schedule on drop.
pub(crate) fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(key.into())
}

/// Replaces a plaintext by its ciphertext; gives the tag.
pub(crate) fn seal_in_place(cipher: &Aes256Gcm, nonce: &[u8; NONCE_BYTES], additional: &[u8], bytes: &mut [u8]) -> [u8; TAG_BYTES] {
    #[expect(clippy::expect_used, reason = "AES-GCM refuses only beyond 64 GiB; callers seal what is in memory")]
    let tag = cipher
        .encrypt_inout_detached(&Nonce::<Aes256Gcm>::from(*nonce), additional, bytes.into())
        .expect("shorter than 64 GiB");
    tag.into()
}

/// Replaces a ciphertext by its plaintext, where the tag is right.
pub(crate) fn open_in_place(
    cipher: &Aes256Gcm,
    nonce: &[u8; NONCE_BYTES],
    additional: &[u8],
    bytes: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Result<(), Unopened> {
    cipher
        .decrypt_inout_detached(
            &Nonce::<Aes256Gcm>::from(*nonce),
            additional,
            bytes.into(),
            &Tag::<Aes256Gcm>::from(*tag),
        )
        .map_err(|_| Unopened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_additional_data_open() {
        let sealed = seal(&[1; 32], b"where", b"what", &mut rand::rng());
        assert_eq!(sealed.len(), 4 + SEAL_BYTES);
        assert_eq!(open(&[1; 32], b"where", &sealed).unwrap().as_slice(), b"what");
        assert_eq!(open(&[2; 32], b"where", &sealed), Err(Unopened));
        assert_eq!(open(&[1; 32], b"elsewhere", &sealed), Err(Unopened));
        for length in 0..sealed.len() {
            assert_eq!(open(&[1; 32], b"where", &sealed[..length]), Err(Unopened));
        }
    }

    #[test]
    fn two_seals_of_one_value_differ() {
        assert_ne!(
            seal(&[1; 32], b"", b"what", &mut rand::rng()),
            seal(&[1; 32], b"", b"what", &mut rand::rng())
        );
    }
}
