//! What crosses a FastChat wire.
//!
//! ```text
//!  0        2                     2+H                        2+H+B
//!  +--------+----------------------+--------------------------+
//!  | H: u16 | JSON header, H bytes | message block, B bytes   |
//!  | big-   | UTF-8, one object    | B = header's             |
//!  | endian |                      | "content-length"         |
//!  +--------+----------------------+--------------------------+
//!
//!  client ── assign ──> balancer            (chat::assign)
//!  client ── hello, register | login | resume ──> server      (chat::hello …)
//!         <─ response ("re"), events ("event") ──
//!  server ── attach, load ──> balancer      (link::attach, link::load)
//!  agent, server, balancer <── spec ── control plane ── status ──>   (control)
//! ```
//!
//! The specification is `protocol/PROTOCOL.md`. This crate holds no socket, no
//! clock and no randomness: bytes in, values out. [`Deframer`] turns a byte
//! stream into [`Frame`]s; [`chat`] has one file for each verb, whose name is
//! the verb's in every layer; [`limits`] has every maximum; [`control`] has the
//! documents that the control plane and its processes exchange.

pub mod chat;
#[cfg(feature = "codec")]
pub mod codec;
pub mod control;
pub mod encoding;
pub mod error;
pub mod frame;
pub mod header;
pub mod id;
pub mod limits;
pub mod link;
pub mod secret;
pub mod username;

pub use error::{Code, ErrorBody, FrameError};
pub use frame::{
    Block, Deframer, EncodeError, Frame, FrameLimits, encode_event, encode_failure, encode_private, encode_request, encode_response,
};
pub use header::{EventName, Head, Kind, Op};
pub use id::{AccountId, BlobId, DeviceId, EntryId, LogId, MoveId};
pub use secret::{Secret, Secret32};
pub use username::Username;

/// A request's argument object, with its verb and the shape of its answer.
pub trait Request: serde::Serialize + serde::de::DeserializeOwned {
    /// The verb on the wire.
    const OP: Op;
    /// The header of the successful response.
    type Response: serde::Serialize + serde::de::DeserializeOwned;
}

/// A pushed event's object.
pub trait Event: serde::Serialize + serde::de::DeserializeOwned {
    /// The event's name on the wire.
    const NAME: EventName;
}

/// The response that has no keys of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Empty {}
