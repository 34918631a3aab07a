//! The part of a header that framing and dispatch need, parsed before the block.
//!
//! A header is parsed twice: here for the keys that every frame may have, then
//! by the verb's own type ([`crate::Frame::parse`]), and that only once the
//! session allows the verb.

use crate::{FrameError, limits::INTEGER_MAX};
use serde::Deserialize;
use serde_json::value::RawValue;

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($name:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each name is documented in the verb's own file")]
        pub enum $type { $($name,)* }

        impl $type {
            /// All of them, in the specification's order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The name's meaning; `None` where the protocol has no such name.
            #[must_use]
            pub fn from_wire(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

names! {
    /// The verbs of requests.
    Op {
        Assign = "assign",
        Hello = "hello",
        AuthParams = "auth-params",
        Register = "register",
        Login = "login",
        Resume = "resume",
        Logout = "logout",
        ChangePassword = "change-password",
        Ping = "ping",
        Create = "create",
        Conversations = "conversations",
        Members = "members",
        Append = "append",
        Commit = "commit",
        Fetch = "fetch",
        Trim = "trim",
        GroupInfo = "group-info",
        Grant = "grant",
        Leave = "leave",
        Mark = "mark",
        Signal = "signal",
        Lookup = "lookup",
        SetCredential = "set-credential",
        RemoveDevice = "remove-device",
        RenameDevice = "rename-device",
        KeysPublish = "keys-publish",
        KeysCount = "keys-count",
        KeysClaim = "keys-claim",
        BlobCreate = "blob-create",
        BlobPut = "blob-put",
        BlobGet = "blob-get",
        Attach = "attach",
    }
}

names! {
    /// The names of events.
    EventName {
        Entry = "entry",
        Behind = "behind",
        Mark = "mark",
        Signal = "signal",
        Device = "device",
        Presence = "presence",
        Move = "move",
        Load = "load",
        Reserved = "reserved",
    }
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Asks for something. `op` is `None` for a verb that the protocol doesn't have.
    Request {
        /// The verb.
        op: Option<Op>,
        /// The sender's number for it.
        id: u64,
    },
    /// Answers a request; `re` is `None` where its id could not be read.
    Response {
        /// The request's id.
        re: Option<u64>,
        /// True where the header has an `error`.
        failed: bool,
    },
    /// Pushed. `name` is `None` for an event that the protocol doesn't have.
    Event {
        /// The event's name.
        name: Option<EventName>,
        /// The request that it is part of the answer to.
        re: Option<u64>,
    },
}

/// The keys that framing and dispatch need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Request, response or event.
    pub kind: Kind,
    /// Length of the block that follows.
    pub content_length: u64,
    /// Lengths of the pieces of the block, where it carries several.
    pub parts: Option<Vec<u64>>,
}

/// Raw values, so that each key's fault can still name the request's id.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawHead<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    op: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    re: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    event: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    content_length: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    content_type: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    content_encoding: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    parts: Option<&'a RawValue>,
}

/// `Some` for any value, `null` too (`"re":null` is a key that is there).
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(d).map(Some)
}

fn integer(value: &RawValue) -> Option<u64> {
    serde_json::from_str(value.get()).ok().filter(|n| *n <= INTEGER_MAX)
}

fn text(value: &RawValue) -> Option<std::borrow::Cow<'_, str>> {
    serde_json::from_str::<String>(value.get()).ok().map(Into::into)
}

impl Head {
    /// Reads the common keys of a header.
    ///
    /// # Errors
    /// `bad-frame` as listed in PROTOCOL.md §2; it carries the request's id
    /// where that could be read.
    pub fn parse(header: &[u8]) -> Result<Self, FrameError> {
        let header = std::str::from_utf8(header).map_err(|_| FrameError::bad(None, "the header is not UTF-8"))?;
        // serde would also read a struct from a JSON array.
        if !header.trim_start().starts_with('{') {
            return Err(FrameError::bad(None, "the header is not a JSON object"));
        }
        let raw: RawHead<'_> =
            serde_json::from_str(header).map_err(|e| FrameError::bad(None, format!("the header is not one JSON object: {e}")))?;
        let id = raw.id.and_then(integer);
        let re = raw.re.and_then(integer);
        let bad = |message: &str| FrameError::bad(id, message);

        for (name, value) in [("content-type", raw.content_type), ("content-encoding", raw.content_encoding)] {
            if value.is_some_and(|v| text(v).is_none()) {
                return Err(bad(&format!("{name} is not a text")));
            }
        }
        let content_length = match raw.content_length {
            None => 0,
            Some(value) => integer(value).ok_or_else(|| bad("content-length is not an integer of 0 to 2^53"))?,
        };
        let parts = match raw.parts {
            None => None,
            Some(value) => {
                let parts: Vec<u64> =
                    serde_json::from_str(value.get()).map_err(|_| bad("parts is not an array of integers of 0 or more"))?;
                let sum = parts.iter().try_fold(0u64, |sum, n| sum.checked_add(*n));
                if sum != Some(content_length) {
                    return Err(bad("parts do not add up to content-length"));
                }
                Some(parts)
            }
        };
        let kind = match (raw.op, raw.re, raw.event) {
            (Some(op), None, None) => {
                let op = text(op).ok_or_else(|| bad("op is not a text"))?;
                let id = id.ok_or_else(|| bad("a request needs an id: an integer of 0 to 2^53"))?;
                Kind::Request {
                    op: Op::from_wire(&op),
                    id,
                }
            }
            (None, Some(value), None) => {
                if re.is_none() && value.get() != "null" {
                    return Err(bad("re is not an integer"));
                }
                Kind::Response {
                    re,
                    failed: raw.error.is_some(),
                }
            }
            (None, value, Some(event)) => {
                if value.is_some() && re.is_none() {
                    return Err(bad("re is not an integer"));
                }
                let event = text(event).ok_or_else(|| bad("event is not a text"))?;
                Kind::Event {
                    name: EventName::from_wire(&event),
                    re,
                }
            }
            _ => return Err(bad("a header has one of op, re and event")),
        };
        Ok(Self {
            kind,
            content_length,
            parts,
        })
    }
}
