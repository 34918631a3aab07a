//! The credential of an MLS leaf: an account's identity vouches for one device's key.
//!
//! ```text
//!  u8 1 ‖ account 16 ‖ device 16 ‖ device public key 32 ‖ identity public key 32
//!       ‖ u64 issued-at ms ‖ u8 length ‖ username          <- signed, after the label
//!       ‖ signature 64                                     <- identity's, Ed25519
//! ```
//!
//! A [`Credential`] that exists is verified, over the bytes as they were
//! carried: nothing is encoded again. It knows no pins, no server and no clock,
//! so that every client accepts the same ones.

use crate::{
    device::DevicePublicKey,
    id::{AccountId, DeviceId},
    identity::{IdentityKey, IdentityPublicKey},
    username::{USERNAME_CHARS_MAX, Username},
};

const LABEL: &[u8] = b"fastchat credential v1\0";
const VERSION: u8 = 1;
const FIXED_BYTES: usize = 1 + 16 + 16 + 32 + 32 + 8 + 1;
const SIGNATURE_BYTES: usize = 64;

/// Longest credential.
pub const CREDENTIAL_BYTES_MAX: usize = FIXED_BYTES + USERNAME_CHARS_MAX + SIGNATURE_BYTES;

/// Why bytes are no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Of a version that this client does not know.
    #[error("the credential has version {0}; this client knows version 1: update it")]
    Version(u8),
    /// Ends too early.
    #[error("the credential is cut off; the device must sign in again")]
    Truncated,
    /// Goes on after the signature.
    #[error("the credential has bytes after its signature; the device must sign in again")]
    Trailing,
    /// Names no possible username.
    #[error("the credential's username is malformed; the device must sign in again")]
    Username,
    /// The identity did not sign it.
    #[error("the credential's signature is wrong: do not trust this device")]
    Signature,
}

/// What a credential says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The account that vouches.
    pub account: AccountId,
    /// The device that it vouches for.
    pub device: DeviceId,
    /// The device's signature key: that of its leaves.
    pub device_key: DevicePublicKey,
    /// The identity's key, which signed.
    pub identity_key: IdentityPublicKey,
    /// When, in milliseconds since 1970, by the device's clock; for people.
    pub issued_at_ms: u64,
    /// The account's name.
    pub username: Username,
}

/// A credential that was verified, by whoever holds it or where it came in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Credential {
    subject: Subject,
    bytes: Vec<u8>,
}

impl Credential {
    /// Signs a credential for a device. `identity` gives the identity's public key, too.
    #[must_use]
    pub fn issue(
        identity: &IdentityKey,
        account: AccountId,
        username: Username,
        device: DeviceId,
        device_key: DevicePublicKey,
        issued_at_ms: u64,
    ) -> Self {
        let subject = Subject {
            account,
            device,
            device_key,
            identity_key: identity.public(),
            issued_at_ms,
            username,
        };
        let mut bytes = encode(&subject);
        let signature = identity.sign(&[LABEL, &bytes].concat());
        bytes.extend_from_slice(&signature);
        Self { subject, bytes }
    }

    /// Reads and verifies carried bytes.
    ///
    /// # Errors
    /// [`CredentialError`]: another version, another length than its own, a malformed username, a wrong signature.
    pub fn verify(bytes: &[u8]) -> Result<Self, CredentialError> {
        let (signed_bytes, subject) = parse(bytes)?;
        let (signed, rest) = bytes.split_at_checked(signed_bytes).ok_or(CredentialError::Truncated)?;
        if rest.len() > SIGNATURE_BYTES {
            return Err(CredentialError::Trailing);
        }
        let signature = rest.try_into().map_err(|_| CredentialError::Truncated)?;
        if !subject.identity_key.verifies(&[LABEL, signed].concat(), signature) {
            return Err(CredentialError::Signature);
        }
        Ok(Self {
            subject,
            bytes: bytes.to_vec(),
        })
    }

    /// Reads one that was verified when it came in: a leaf of a group that was accepted. Its signature is not looked at.
    pub(crate) fn known(bytes: &[u8]) -> Result<Self, CredentialError> {
        let (_, subject) = parse(bytes)?;
        Ok(Self {
            subject,
            bytes: bytes.to_vec(),
        })
    }

    /// What it says.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The bytes as carried, signature included.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn encode(subject: &Subject) -> Vec<u8> {
    let name = subject.username.as_str().as_bytes();
    #[expect(clippy::expect_used, reason = "a username has 32 bytes at most")]
    let length = u8::try_from(name.len()).expect("a username has 32 bytes at most");
    [
        &[VERSION][..],
        subject.account.as_bytes(),
        subject.device.as_bytes(),
        subject.device_key.as_bytes(),
        subject.identity_key.as_bytes(),
        &subject.issued_at_ms.to_be_bytes(),
        &[length],
        name,
    ]
    .concat()
}

/// The number of signed bytes, and what they say.
fn parse(bytes: &[u8]) -> Result<(usize, Subject), CredentialError> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], CredentialError> {
        let (head, rest) = bytes.split_first_chunk().ok_or(CredentialError::Truncated)?;
        *bytes = rest;
        Ok(*head)
    }
    let mut rest = bytes;
    match take(&mut rest)? {
        [VERSION] => {}
        [other] => return Err(CredentialError::Version(other)),
    }
    let account = AccountId(take(&mut rest)?);
    let device = DeviceId(take(&mut rest)?);
    let device_key = DevicePublicKey(take(&mut rest)?);
    let identity_key = IdentityPublicKey(take(&mut rest)?);
    let issued_at_ms = u64::from_be_bytes(take(&mut rest)?);
    let [length] = take(&mut rest)?;
    let name = rest.get(..usize::from(length)).ok_or(CredentialError::Truncated)?;
    let username = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
    let subject = Subject {
        account,
        device,
        device_key,
        identity_key,
        issued_at_ms,
        username: username.ok_or(CredentialError::Username)?,
    };
    Ok((FIXED_BYTES + usize::from(length), subject))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{device::DeviceKey, secret::SigningSeed};

    fn sample() -> Credential {
        let identity = IdentityKey::from_seed(&SigningSeed::new([1; 32]));
        let device = DeviceKey::from_seed(&SigningSeed::new([2; 32]));
        let name = "alice".parse().unwrap();
        Credential::issue(
            &identity,
            AccountId([3; 16]),
            name,
            DeviceId([4; 16]),
            device.public(),
            1_700_000_000_000,
        )
    }

    #[test]
    fn an_issued_credential_verifies_and_says_the_same() {
        let issued = sample();
        assert_eq!(Credential::verify(issued.as_bytes()).unwrap(), issued);
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        let issued = sample();
        for i in 0..issued.as_bytes().len() {
            for bit in 0..8 {
                let mut bytes = issued.as_bytes().to_vec();
                bytes[i] ^= 1 << bit;
                assert!(Credential::verify(&bytes).is_err(), "byte {i}, bit {bit}");
            }
        }
    }

    #[test]
    fn any_other_length_is_refused() {
        let issued = sample();
        let bytes = issued.as_bytes();
        for length in 0..bytes.len() {
            assert_eq!(Credential::verify(&bytes[..length]), Err(CredentialError::Truncated), "{length}");
        }
        assert_eq!(Credential::verify(&[bytes, &[0]].concat()), Err(CredentialError::Trailing));
    }

    #[test]
    fn a_later_version_asks_for_an_update() {
        let mut bytes = sample().as_bytes().to_vec();
        bytes[0] = 2;
        assert_eq!(Credential::verify(&bytes), Err(CredentialError::Version(2)));
    }

    #[test]
    fn an_identity_key_of_small_order_signs_nothing() {
        let mut bytes = sample().as_bytes().to_vec();
        let identity = 1 + 16 + 16 + 32;
        bytes[identity..identity + 32].fill(0);
        bytes[identity] = 1;
        let signature = bytes.len() - 64;
        bytes[signature..].fill(0);
        bytes[signature] = 1;
        assert_eq!(Credential::verify(&bytes), Err(CredentialError::Signature));
    }
}
