//! The archive: what an account's devices read and said, sealed for the devices that come later.
//!
//! ```text
//!  block = u8 1 ‖ E 32 ‖ AES-256-GCM(key, nonce 0, JSON ‖ signature 64)
//!
//!  E, e   fresh X25519 pair of this block          B, b   the account's backup key
//!  key  = HKDF-SHA256(salt = E ‖ B, input = X25519(e, B), info = "fastchat archive v1" ‖ account)
//!  additional data = u8 1 ‖ account ‖ E ‖ B
//!  signature = the device's, over "fastchat archive v1\0" ‖ account ‖ SHA-256(JSON)
//! ```
//!
//! A device seals with the public half of the backup key and opens nothing with it; who restores has the seeds from
//! the keyring. The server can't forge a batch (it has no device's key), and each device's batches are a chain: `n`
//! counts them, `prev` is the SHA-256 of the block before, so that one that is missing is missed. An [`Opened`] that
//! exists was signed by a device that the account's identity vouches for. Whether it is where it belongs in its chain
//! is for the caller to say, who has the others; and which ones count of a device that was sent away, a [`Trail`].

mod gone;
mod open;
mod seal;

pub use gone::{Gone, MARKS_MAX, Trail};
pub use open::{Opened, Opener};
pub use seal::seal_batch;

use crate::id::{AccountId, ConversationId, DeviceId, EntryId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;

/// Messages of one batch.
pub const RECORDS_MAX: usize = 64;
/// Conversations, pins and gone devices of which one batch tells, of each.
pub const STATES_MAX: usize = 256;
/// Kind of the entries that carry a batch.
pub const KIND_RECORD: &str = "record";
/// What `prev` of a device's first batch is.
pub const FIRST_PREV: [u8; 32] = [0; 32];

const VERSION: u8 = 1;
const LABEL: &[u8] = b"fastchat archive v1";
const SIGNATURE_BYTES: usize = 64;

/// Why a block is no batch of this account. Never holds what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// Of a version that this client does not know.
    #[error("it has version {0}, and this client knows version 1: update it")]
    Version(u8),
    /// Ends too early.
    #[error("it is cut off")]
    Truncated,
    /// None of the keyring's backup keys opens it.
    #[error("it does not open: it was changed, is another account's, or was sealed to a backup key that the keyring does not hold")]
    Unopened,
    /// It opens and is not in FastChat's form.
    #[error("it opens and is no batch of messages: the device that wrote it is faulty")]
    Malformed,
    /// Beyond [`RECORDS_MAX`] or [`STATES_MAX`].
    #[error("it has more in it than a batch may have: the device that wrote it is faulty")]
    TooMany,
    /// The account's identity does not vouch for the device that it names.
    #[error("a device wrote it that this account's identity does not vouch for")]
    Device,
    /// The device did not sign it.
    #[error("the signature of the device that it names is wrong")]
    Signature,
}

/// One batch, as a device writes it and as it was opened.
#[derive(Serialize, Deserialize)]
pub struct Batch<'a> {
    /// Who wrote it.
    pub device: DeviceId,
    /// Its credential, as carried.
    #[serde(with = "text")]
    pub credential: Vec<u8>,
    /// Counts this device's batches, from 1.
    pub n: u64,
    /// SHA-256 of this device's block before; zeros for the first.
    #[serde(with = "text32")]
    pub prev: [u8; 32],
    /// Messages in all of this device's batches up to and with this one: what a missing batch had is known by it.
    pub messages: u64,
    /// Messages, in the order in which the device took them.
    #[serde(borrow)]
    pub records: Vec<Record<'a>>,
    /// How conversations stood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rooms: Vec<Room>,
    /// Whom the device had met, and with which identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Pin>,
    /// Devices that the account has sent away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<Gone>,
    /// Where one of this device's batches before stands: the last one of which it knows that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed: Option<Placed>,
}

/// Where a batch stands in the archive, as its device was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Which of the device's batches.
    pub n: u64,
    /// Its number in the log.
    pub seq: u64,
}

/// One message. A reader that has (conversation, seq) already needs no second one.
#[derive(Clone, Serialize, Deserialize)]
pub struct Record<'a> {
    /// Where it was said.
    pub conversation: ConversationId,
    /// Its number there.
    pub seq: u64,
    /// Its entry.
    pub entry: EntryId,
    /// Who sealed it.
    pub from: AccountId,
    /// On which device.
    pub device: DeviceId,
    /// When, in ms since 1970, by the server's clock.
    pub at: u64,
    /// The message: JSON, byte for byte as MLS carried it or as it would.
    #[serde(borrow)]
    pub content: &'a RawValue,
    /// The conversation's head there, where the device knew one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text32")]
    pub head: Option<[u8; 32]>,
}

/// How a conversation stood when a batch was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Room {
    /// Which.
    pub conversation: ConversationId,
    /// The other account of a direct chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<AccountId>,
    /// A group's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the group's setting says that it is archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<bool>,
    /// Seconds after which messages disappear, where that was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_s: Option<u64>,
    /// The account was in it no longer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub out: bool,
    /// Its admins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub admins: Vec<AccountId>,
    /// The last entry that the device had processed.
    pub seq: u64,
    /// The head there, where the device knew one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text32")]
    pub head: Option<[u8; 32]>,
    /// The server's epoch there.
    pub epoch: u64,
    /// The group's MLS epoch there.
    pub mls_epoch: u64,
}

/// Somebody whom a device had met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub username: String,
    /// Its identity's public key.
    #[serde(with = "text32")]
    pub identity: [u8; 32],
    /// A person has compared the safety number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verified: bool,
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch {} of device {} with {} messages", self.n, self.device, self.records.len())
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {} of {}", self.seq, self.conversation)
    }
}

/// Bytes as base64url without padding.
mod text {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde::{Deserialize, Deserializer, Serializer, de};
    use std::borrow::Cow;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        URL_SAFE_NO_PAD.decode(&*text).map_err(|_| de::Error::custom("not base64url"))
    }
}

/// 32 bytes as base64url without padding.
mod text32 {
    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], s: S) -> Result<S::Ok, S::Error> {
        super::text::serialize(bytes, s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
        let bytes = super::text::deserialize(d)?;
        bytes.try_into().map_err(|_| de::Error::custom("not 32 bytes"))
    }
}

/// The same where it may be left out.
mod optional_text32 {
    use serde::{Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes the field by reference")]
    pub(super) fn serialize<S: Serializer>(bytes: &Option<[u8; 32]>, s: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => super::text32::serialize(bytes, s),
            None => s.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<[u8; 32]>, D::Error> {
        super::text32::deserialize(d).map(Some)
    }
}

#[cfg(test)]
mod tests;
