//! The types of message, and their keys.

use crate::{
    id::{AccountId, BlobId, EntryId},
    secret::FileKey,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::{borrow::Cow, fmt};
use zeroize::Zeroizing;

/// Longest thumbnail, in bytes.
pub const THUMBNAIL_BYTES_MAX: usize = 8 << 10;

/// Most accounts that a text names.
pub const MENTIONS_MAX: usize = 1_000;

/// What a message says, by its `type`.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// `text`
    Text(Text),
    /// `edit`: only by the target's account.
    Edit(Edit),
    /// `delete`: only by the target's account.
    Delete(Target),
    /// `react`
    React(React),
    /// `file`
    File(File),
    /// `group`: taken from admins only.
    Group(Group),
    /// `notice`: between devices.
    Notice(Notice),
    /// Of a type or version that this client does not know: "sent something that this version can't show".
    Unknown {
        /// The type it names.
        r#type: String,
        /// The whole message as it came.
        json: Vec<u8>,
    },
}

/// A text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Text {
    /// The text.
    pub body: String,
    /// The entry that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<EntryId>,
    /// Accounts that it names, at most [`MENTIONS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "mentions")]
    pub mentions: Vec<AccountId>,
}

/// A new text for an earlier message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The earlier message.
    pub target: EntryId,
    /// The new text.
    pub body: String,
}

/// The message that a `delete` takes back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The earlier message.
    pub target: EntryId,
}

/// An account's reaction to a message: the newest one counts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct React {
    /// The message.
    pub target: EntryId,
    /// The emoji, see [`is_emoji`](super::is_emoji); empty where the reaction is taken back.
    #[serde(with = "emoji_text")]
    pub emoji: String,
}

/// A sealed file, and what opens it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where the server keeps it.
    pub blob: BlobId,
    /// What opens it.
    #[serde(with = "key_text")]
    pub key: FileKey,
    /// SHA-256 of the plaintext.
    #[serde(with = "bytes_text")]
    pub sha256: [u8; 32],
    /// Length of the plaintext in bytes.
    pub size: u64,
    /// As its sender calls it: for people, never a path.
    pub name: String,
    /// Its media type, as its sender says.
    pub mime: String,
    /// Of an image, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Of an image, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// WebP or JPEG, at most [`THUMBNAIL_BYTES_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none", with = "thumbnail_text")]
    pub thumbnail: Option<Vec<u8>>,
}

/// A group's settings: each key that is there replaces the one before.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Group {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<File>,
    /// Seconds after which messages disappear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_s: Option<u64>,
    /// Whether members' devices archive it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<bool>,
}

/// A notice between devices: `notice` names its kind, the other keys are that kind's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its kind; unknown kinds are kept and not shown.
    pub notice: String,
    /// Accounts that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountId>,
}

impl Body {
    /// A plain text.
    #[must_use]
    pub fn text(body: impl Into<String>) -> Self {
        Self::Text(Text {
            body: body.into(),
            reply_to: None,
            mentions: Vec::new(),
        })
    }

    pub(super) fn unknown(r#type: String, json: &[u8]) -> Self {
        Self::Unknown {
            r#type,
            json: json.to_vec(),
        }
    }

    /// The earlier message that this one changes.
    #[must_use]
    pub fn target(&self) -> Option<EntryId> {
        match self {
            Self::Edit(edit) => Some(edit.target),
            Self::Delete(delete) => Some(delete.target),
            Self::React(react) => Some(react.target),
            _ => None,
        }
    }

    /// True for what others may be about: what was said, not what was done about it.
    #[must_use]
    pub fn is_said(&self) -> bool {
        matches!(self, Self::Text(_) | Self::File(_) | Self::Unknown { .. })
    }

    /// The `type` on the wire.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Text(_) => "text",
            Self::Edit(_) => "edit",
            Self::Delete(_) => "delete",
            Self::React(_) => "react",
            Self::File(_) => "file",
            Self::Group(_) => "group",
            Self::Notice(_) => "notice",
            Self::Unknown { r#type, .. } => r#type,
        }
    }
}

// Names, too, are for members only.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("blob", &self.blob).finish_non_exhaustive()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { .. } => f.write_str("an unknown type"),
            known => f.write_str(known.type_name()),
        }
    }
}

fn mentions<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<AccountId>, D::Error> {
    let mentions = Vec::<AccountId>::deserialize(d)?;
    if mentions.len() > MENTIONS_MAX {
        return Err(de::Error::custom("a text names at most 1,000 accounts"));
    }
    Ok(mentions)
}

mod emoji_text {
    use super::*;
    use crate::content::is_emoji;

    pub(super) fn serialize<S: Serializer>(emoji: &str, s: S) -> Result<S::Ok, S::Error> {
        match emoji.is_empty() || is_emoji(emoji) {
            true => s.serialize_str(emoji),
            false => Err(ser::Error::custom("a reaction is one character")),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
        let emoji = String::deserialize(d)?;
        match emoji.is_empty() || is_emoji(&emoji) {
            true => Ok(emoji),
            false => Err(de::Error::custom("a reaction is one character")),
        }
    }
}

/// The one place where a file's key is written: into what MLS seals.
mod key_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(key: &FileKey, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&Zeroizing::new(URL_SAFE_NO_PAD.encode(key.expose())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<FileKey, D::Error> {
        bytes_text::deserialize(d).map(FileKey::new)
    }
}

mod bytes_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(&*text).map_err(|_| de::Error::custom("not base64url"))?);
        bytes.as_slice().try_into().map_err(|_| de::Error::custom("not 32 bytes"))
    }
}

mod thumbnail_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, s: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) if bytes.len() <= THUMBNAIL_BYTES_MAX => s.serialize_str(&URL_SAFE_NO_PAD.encode(bytes)),
            Some(_) => Err(ser::Error::custom("a thumbnail has at most 8 KiB")),
            None => s.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<u8>>, D::Error> {
        let Some(text) = Option::<Cow<'de, str>>::deserialize(d)? else {
            return Ok(None);
        };
        let bytes = URL_SAFE_NO_PAD.decode(&*text).map_err(|_| de::Error::custom("not base64url"))?;
        if bytes.len() > THUMBNAIL_BYTES_MAX {
            return Err(de::Error::custom("a thumbnail has at most 8 KiB"));
        }
        Ok(Some(bytes))
    }
}
