//! Session tokens: 32 random bytes as base64url, of which only the SHA-256 is kept.

use super::handlers::Refusal;
use crate::store::accounts::TokenDigest;
use fastchat_wire::{Secret, encoding::base64url};
use rand::{TryRng, rngs::SysRng};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A new token and its digest.
///
/// # Errors
/// `internal`: the operating system gives no randomness.
pub(crate) fn fresh() -> Result<(Secret, TokenDigest), Refusal> {
    let mut bytes = Zeroizing::new([0; 32]);
    SysRng.try_fill_bytes(bytes.as_mut_slice()).map_err(|e| Refusal::internal(&e))?;
    let token = Secret::new(base64url(bytes.as_slice()));
    let digest = digest(&token);
    Ok((token, digest))
}

/// What the store keeps of a token: the SHA-256 of its text. The bytes are
/// random, so it needs neither salt nor slowness.
pub(crate) fn digest(token: &Secret) -> TokenDigest {
    Sha256::digest(token.expose()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_32_random_bytes_and_known_by_their_digest() {
        let (token, digest) = fresh().unwrap();
        assert_eq!(fastchat_wire::encoding::from_base64url(token.expose()).unwrap().len(), 32);
        assert_eq!(digest, super::digest(&token));
        assert_ne!(digest, fresh().unwrap().1);
    }
}
