//! Error codes, the `error` object of a response, and faults of framing.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Every error code of the protocol (PROTOCOL.md §2), exhaustively.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// All codes, in the specification's order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it stands on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// The frame breaks the framing; the connection is closed.
    BadFrame = "bad-frame",
    /// Header or block over its limit; the connection is closed.
    TooLarge = "too-large",
    /// No such verb.
    UnknownOp = "unknown-op",
    /// The verb's arguments, or its place in the conversation, are wrong.
    BadRequest = "bad-request",
    /// The ticket is forged, foreign, expired or already redeemed.
    BadTicket = "bad-ticket",
    /// Sign in first, or the token is dead.
    Unauthenticated = "unauthenticated",
    /// Wrong password or unknown name.
    BadCredentials = "bad-credentials",
    /// The username belongs to somebody.
    NameTaken = "name-taken",
    /// The thing named does not exist.
    NotFound = "not-found",
    /// Not a member of the log, or there is no such log.
    NotMember = "not-member",
    /// A member, but not allowed to.
    Forbidden = "forbidden",
    /// The account is locked by the operator.
    Locked = "locked",
    /// Another state than the request assumed.
    Conflict = "conflict",
    /// Another epoch than the request assumed.
    EpochConflict = "epoch-conflict",
    /// Too many requests.
    RateLimited = "rate-limited",
    /// Over a quota.
    QuotaExceeded = "quota-exceeded",
    /// Too much work is waiting.
    Overloaded = "overloaded",
    /// The outcome is unknown; send the same again.
    Unavailable = "unavailable",
    /// The server is being emptied; ask the balancer.
    Draining = "draining",
    /// The balancer has no server to give.
    NoServer = "no-server",
    /// A fault of the server's; the message has a reference.
    Internal = "internal",
}

impl Code {
    /// True where the same request may succeed later: the later appends to the
    /// same log are refused with it too (PROTOCOL.md §2).
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Overloaded | Self::RateLimited | Self::Internal)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The `error` object of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
#[serde(rename_all = "kebab-case")]
pub struct ErrorBody {
    /// What a program looks at.
    pub code: Code,
    /// What a person reads.
    pub message: String,
    /// Where trying again later helps: after how many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl ErrorBody {
    /// An error without `retry-after-ms`.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_ms: None,
        }
    }

    /// An error that a later try may not meet.
    pub fn retry_after(code: Code, message: impl Into<String>, retry_after_ms: u64) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_ms: Some(retry_after_ms),
        }
    }
}

/// A fault after which the byte stream means nothing: answer, then close.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FrameError {
    /// [`Code::BadFrame`] or [`Code::TooLarge`].
    pub code: Code,
    /// The request's `id`, where one could be read.
    pub re: Option<u64>,
    /// What is wrong, for a person.
    pub message: String,
}

impl FrameError {
    /// A `bad-frame`.
    pub fn bad(re: Option<u64>, message: impl Into<String>) -> Self {
        Self {
            code: Code::BadFrame,
            re,
            message: message.into(),
        }
    }

    /// A `too-large`.
    pub fn too_large(re: Option<u64>, message: impl Into<String>) -> Self {
        Self {
            code: Code::TooLarge,
            re,
            message: message.into(),
        }
    }
}
