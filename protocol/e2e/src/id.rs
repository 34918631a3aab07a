//! Ids: 16 bytes in what is signed and hashed, a lower-case hyphenated UUID in JSON.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{borrow::Cow, fmt, str::FromStr};
use uuid::Uuid;

/// The text is not a lower-case hyphenated UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a lower-case hyphenated UUID")]
pub struct InvalidId;

/// A public key is 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 32 bytes")]
pub struct InvalidKey;

fn parse(text: &str) -> Result<[u8; 16], InvalidId> {
    let plain = text.len() == 36 && !text.bytes().any(|b| b.is_ascii_uppercase());
    match Uuid::try_parse(text) {
        Ok(id) if plain => Ok(id.into_bytes()),
        _ => Err(InvalidId),
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The 16 bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = InvalidId;
            fn try_from(bytes: &[u8]) -> Result<Self, InvalidId> {
                bytes.try_into().map(Self).map_err(|_| InvalidId)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = Uuid::encode_buffer();
                f.write_str(Uuid::from_bytes(self.0).hyphenated().encode_lower(&mut text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(d)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An account: a person or a bot.
    AccountId
    /// One device of an account.
    DeviceId
    /// A conversation; also its MLS group id.
    ConversationId
    /// An entry of a conversation's log, chosen by its sender.
    EntryId
    /// A sealed file on the server.
    BlobId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_hyphenated_text_is_an_id() {
        let text = "01890000-0000-7000-8000-00000000000a";
        assert_eq!(text.parse::<EntryId>().unwrap().to_string(), text);
        assert_eq!(
            serde_json::from_str::<EntryId>(&format!("\"{text}\"")).unwrap().0,
            text.parse::<EntryId>().unwrap().0
        );
        for bad in [
            "",
            "0189",
            "01890000-0000-7000-8000-00000000000A",
            "0189000000007000800000000000000a",
        ] {
            assert_eq!(bad.parse::<EntryId>(), Err(InvalidId), "{bad}");
        }
    }
}
