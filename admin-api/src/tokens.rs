//! Bearer tokens of processes, derived from the fleet's key, so that none is stored.
//!
//! `base64url(HMAC-SHA256(fleet key, "fastchat instance token v1" ‖ 0 ‖ role ‖ "/" ‖ name))`:
//! the same construction as every other key of the fleet.

use fastchat_wire::{Secret, Secret32, control::Role, encoding::base64url};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const LABEL: &[u8] = b"fastchat instance token v1";

/// What a server, a balancer or an agent shows on its control link.
pub(crate) fn process_token(fleet_key: &Secret32, role: Role, name: &str) -> Secret {
    #[expect(clippy::expect_used, reason = "HMAC accepts every key length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(fleet_key.expose()).expect("HMAC accepts every key length");
    mac.update(LABEL);
    mac.update(&[0]);
    mac.update(format!("{role}/{name}").as_bytes());
    Secret::new(base64url(&mac.finalize().into_bytes()))
}

/// SHA-256 of a bearer token: all that is kept of one.
#[derive(Clone, Copy)]
pub(crate) struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of the token's text.
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Compares in constant time.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_has_a_token_of_its_own() {
        let key = Secret32::new([7; 32]);
        let token = process_token(&key, Role::Server, "s1");
        assert_eq!(token, process_token(&key, Role::Server, "s1"));
        assert_ne!(token, process_token(&key, Role::Server, "s2"));
        assert_ne!(token, process_token(&key, Role::Balancer, "s1"));
        assert_ne!(token, process_token(&Secret32::new([8; 32]), Role::Server, "s1"));
        assert_eq!(token.expose().len(), 43);
    }

    #[test]
    fn digests_match_only_the_same_token() {
        assert!(TokenDigest::of("a").matches(&TokenDigest::of("a")));
        assert!(!TokenDigest::of("a").matches(&TokenDigest::of("b")));
    }
}
