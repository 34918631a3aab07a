//! The log head: a hash over a conversation's whole log, compared among its members.
//!
//! ```text
//!  head_0 = SHA-256("fastchat log v1" ‖ conversation)
//!  head_n = SHA-256(head_{n-1} ‖ u64 n ‖ entry id 16 ‖ u8 length ‖ kind ‖ SHA-256(block))
//! ```
//!
//! Each message's authenticated data carries the head that its sender had
//! seen, so that a server can't show two members two histories unnoticed.

use crate::id::{ConversationId, EntryId};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{borrow::Cow, fmt};

const LABEL: &[u8] = b"fastchat log v1";

/// The head of a log at an entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogHead {
    /// The number of the last entry in it; 0 before the first.
    pub seq: u64,
    /// The hash.
    pub hash: [u8; 32],
}

/// Why a log head does not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// An entry's kind has at most 255 bytes.
    #[error("the server sent an entry whose kind is too long: do not trust this server before its operator explains")]
    Kind,
    /// A log ends at its last number.
    #[error("the log has no further number")]
    Full,
    /// Not `{"seq":n,"head":"base64url of 32 bytes"}`.
    #[error("the message's authenticated data names no log head: its sender's client is faulty")]
    AuthenticatedData,
}

#[derive(Serialize, Deserialize)]
struct AuthenticatedData<'a> {
    seq: u64,
    #[serde(borrow)]
    head: Cow<'a, str>,
}

impl LogHead {
    /// The head before a conversation's first entry.
    #[must_use]
    pub fn start(conversation: ConversationId) -> Self {
        let hash = Sha256::new().chain_update(LABEL).chain_update(conversation.as_bytes());
        Self {
            seq: 0,
            hash: hash.finalize().into(),
        }
    }

    /// The head after the next entry.
    ///
    /// # Errors
    /// [`HeadError::Kind`] for a kind beyond 255 bytes; [`HeadError::Full`] after the last number.
    pub fn next(&self, entry: EntryId, kind: &str, block: &[u8]) -> Result<Self, HeadError> {
        let length = u8::try_from(kind.len()).map_err(|_| HeadError::Kind)?;
        let seq = self.seq.checked_add(1).ok_or(HeadError::Full)?;
        let hash = Sha256::new()
            .chain_update(self.hash)
            .chain_update(seq.to_be_bytes())
            .chain_update(entry.as_bytes())
            .chain_update([length])
            .chain_update(kind)
            .chain_update(Sha256::digest(block));
        Ok(Self {
            seq,
            hash: hash.finalize().into(),
        })
    }

    /// As a message's authenticated data.
    #[must_use]
    pub fn to_authenticated_data(&self) -> Vec<u8> {
        format!("{{\"seq\":{},\"head\":\"{}\"}}", self.seq, URL_SAFE_NO_PAD.encode(self.hash)).into_bytes()
    }

    /// From a message's authenticated data.
    ///
    /// # Errors
    /// [`HeadError::AuthenticatedData`].
    pub fn from_authenticated_data(bytes: &[u8]) -> Result<Self, HeadError> {
        let data: AuthenticatedData<'_> = serde_json::from_slice(bytes).map_err(|_| HeadError::AuthenticatedData)?;
        let hash = URL_SAFE_NO_PAD.decode(&*data.head).ok().and_then(|hash| hash.try_into().ok());
        let hash = hash.ok_or(HeadError::AuthenticatedData)?;
        Ok(Self { seq: data.seq, hash })
    }
}

impl fmt::Debug for LogHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, URL_SAFE_NO_PAD.encode(self.hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSATION: ConversationId = ConversationId([1; 16]);
    const ENTRY: EntryId = EntryId([2; 16]);

    #[test]
    fn a_head_names_everything_before_it() {
        let start = LogHead::start(CONVERSATION);
        let head = start.next(ENTRY, "message", b"block").unwrap();
        assert_eq!(head.seq, 1);
        let others = [
            LogHead::start(ConversationId([9; 16])).next(ENTRY, "message", b"block"),
            start.next(EntryId([9; 16]), "message", b"block"),
            start.next(ENTRY, "commit", b"block"),
            start.next(ENTRY, "message", b"other"),
            LogHead { seq: 1, ..start }.next(ENTRY, "message", b"block"),
        ];
        assert!(others.iter().all(|other| other.unwrap().hash != head.hash));
    }

    #[test]
    fn authenticated_data_is_read_back() {
        let head = LogHead::start(CONVERSATION).next(ENTRY, "message", b"block").unwrap();
        assert_eq!(LogHead::from_authenticated_data(&head.to_authenticated_data()), Ok(head));
    }

    #[test]
    fn what_names_no_head_is_refused() {
        for bad in ["", "{}", "{\"seq\":1,\"head\":\"AAAA\"}", "{\"seq\":-1,\"head\":\"\"}", "[]"] {
            assert_eq!(
                LogHead::from_authenticated_data(bad.as_bytes()),
                Err(HeadError::AuthenticatedData),
                "{bad}"
            );
        }
    }

    #[test]
    fn kinds_beyond_a_byte_and_numbers_beyond_the_last_are_refused() {
        let start = LogHead::start(CONVERSATION);
        assert_eq!(start.next(ENTRY, &"k".repeat(256), b""), Err(HeadError::Kind));
        assert_eq!(LogHead { seq: u64::MAX, ..start }.next(ENTRY, "k", b""), Err(HeadError::Full));
    }
}
