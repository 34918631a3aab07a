//! What an application message says, once MLS has opened it.
//!
//! UTF-8 JSON, one object: `{"v":1,"type":"text","id":"<entry id>","at":ms,…}`.
//! Who sent it is not in it: that is the MLS leaf. A type or version that this
//! client does not know is kept as it came. `Debug` shows the type alone, so
//! that no log ever holds what was said.

mod body;
mod emoji;

pub use body::{Body, Edit, File, Group, MENTIONS_MAX, Notice, React, THUMBNAIL_BYTES_MAX, Target, Text};
pub use emoji::{EMOJI_BYTES_MAX, is_emoji};

use crate::{id::EntryId, secret::SecretBytes};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;

const VERSION: u64 = 1;

/// One application message.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// The entry that carries it.
    pub id: EntryId,
    /// When it was written, in milliseconds since 1970, by its sender's clock; for people.
    pub at_ms: u64,
    /// What it says.
    pub body: Body,
}

/// Why opened bytes are no message. Never holds what was said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Not one JSON object with `v`, `type`, `id` and `at`.
    #[error("the message is not in FastChat's form: its sender's client is faulty")]
    Form,
    /// A known type with keys missing or of the wrong kind.
    #[error("the message of type \"{0}\" lacks a key or has a wrong one: its sender's client is faulty")]
    Keys(&'static str),
    /// It names another entry than the one that carried it: moved or repeated.
    #[error("the message names another entry than the one that carried it: do not trust it")]
    Entry,
}

#[derive(Deserialize)]
struct Envelope {
    v: u64,
    r#type: String,
    id: EntryId,
    at: u64,
}

#[derive(Serialize)]
struct Carried<'a, T> {
    v: u64,
    r#type: &'static str,
    id: EntryId,
    at: u64,
    #[serde(flatten)]
    body: &'a T,
}

impl Content {
    /// Reads an opened message, and checks that it names the entry that carried it.
    ///
    /// # Errors
    /// [`ContentError`]: not FastChat's form, keys wrong, another entry named.
    pub fn parse(bytes: &[u8], entry: EntryId) -> Result<Self, ContentError> {
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(|_| ContentError::Form)?;
        if envelope.id != entry {
            return Err(ContentError::Entry);
        }
        let body = match envelope.r#type.as_str() {
            _ if envelope.v != VERSION => Body::unknown(envelope.r#type, bytes),
            "text" => Body::Text(keys("text", bytes)?),
            "edit" => Body::Edit(keys("edit", bytes)?),
            "delete" => Body::Delete(keys("delete", bytes)?),
            "react" => Body::React(keys("react", bytes)?),
            "file" => Body::File(keys("file", bytes)?),
            "group" => Body::Group(keys("group", bytes)?),
            "notice" => Body::Notice(keys("notice", bytes)?),
            _ => Body::unknown(envelope.r#type, bytes),
        };
        Ok(Self {
            id: entry,
            at_ms: envelope.at,
            body,
        })
    }

    /// The bytes that MLS seals; an unknown message as it came.
    ///
    /// # Errors
    /// [`ContentError::Keys`] for a thumbnail beyond [`THUMBNAIL_BYTES_MAX`], or a reaction that is none.
    pub fn encode(&self) -> Result<SecretBytes, ContentError> {
        match &self.body {
            Body::Text(body) => self.carry("text", body),
            Body::Edit(body) => self.carry("edit", body),
            Body::Delete(body) => self.carry("delete", body),
            Body::React(body) => self.carry("react", body),
            Body::File(body) => self.carry("file", body),
            Body::Group(body) => self.carry("group", body),
            Body::Notice(body) => self.carry("notice", body),
            Body::Unknown { json, .. } => Ok(SecretBytes::new(json.clone())),
        }
    }

    fn carry<T: Serialize>(&self, r#type: &'static str, body: &T) -> Result<SecretBytes, ContentError> {
        let carried = Carried {
            v: VERSION,
            r#type,
            id: self.id,
            at: self.at_ms,
            body,
        };
        serde_json::to_vec(&carried)
            .map(SecretBytes::new)
            .map_err(|_| ContentError::Keys(r#type))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("id", &self.id)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

// The parser's own message may quote what was said: it goes no further.
fn keys<T: DeserializeOwned>(r#type: &'static str, bytes: &[u8]) -> Result<T, ContentError> {
    serde_json::from_slice(bytes).map_err(|_| ContentError::Keys(r#type))
}

#[cfg(test)]
mod tests;
