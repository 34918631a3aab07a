//! Ids: 16 bytes inside, a lower-case hyphenated UUID on the wire.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// The text is not a lower-case hyphenated UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a lower-case hyphenated UUID")]
pub struct InvalidId;

fn parse(text: &str) -> Result<[u8; 16], InvalidId> {
    let plain = text.len() == 36 && !text.bytes().any(|b| b.is_ascii_uppercase());
    match Uuid::try_parse(text) {
        Ok(id) if plain => Ok(id.into_bytes()),
        _ => Err(InvalidId),
    }
}

struct IdVisitor;

impl de::Visitor<'_> for IdVisitor {
    type Value = [u8; 16];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a lower-case hyphenated UUID")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<[u8; 16], E> {
        parse(text).map_err(E::custom)
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

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id.into_bytes())
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
                let mut text = Uuid::encode_buffer();
                s.serialize_str(Uuid::from_bytes(self.0).hyphenated().encode_lower(&mut text))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                d.deserialize_str(IdVisitor).map(Self)
            }
        }
    )*};
}

ids! {
    /// An account: a person or a bot.
    AccountId
    /// One device of an account; also the id of its inbox log.
    DeviceId
    /// A log: a conversation, a device's inbox, or an account's archive.
    LogId
    /// An entry of a log, chosen by its sender (UUIDv7).
    EntryId
    /// A blob (sealed attachment).
    BlobId
    /// A `move` event.
    MoveId
}

impl LogId {
    /// The inbox of a device.
    #[must_use]
    pub fn inbox_of(device: DeviceId) -> Self {
        Self(device.0)
    }

    /// The archive of an account.
    #[must_use]
    pub fn archive_of(account: AccountId) -> Self {
        Self(account.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_hyphenated_text_is_an_id() {
        let text = "01890000-0000-7000-8000-00000000000a";
        assert_eq!(text.parse::<LogId>().unwrap().to_string(), text);
        for bad in [
            "",
            "0189",
            "01890000-0000-7000-8000-00000000000A",
            "0189000000007000800000000000000a",
            "{01890000-0000-7000-8000-00000000000a}",
        ] {
            assert_eq!(bad.parse::<LogId>(), Err(InvalidId), "{bad}");
        }
    }
}
