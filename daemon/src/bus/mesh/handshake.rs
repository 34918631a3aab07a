//! What two servers say at the beginning of a link, and to keep it. Pure.

use crate::{bus::Refused, fleet_key::FleetKey};
use bytes::Bytes;
use fastchat_wire::{Frame, FrameLimits, Secret32, encode_private};
use serde::{Deserialize, Serialize};
use std::io;
use subtle::ConstantTimeEq;

/// Frames before the proof are short.
pub(crate) const GREETING_LIMITS: FrameLimits = FrameLimits {
    header_bytes_max: 1 << 10,
    block_bytes_max: 0,
};

/// What isn't a message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub(crate) enum Control {
    /// The dialler's first word.
    #[serde(rename = "bus-hello")]
    Hello {
        version: u8,
        from: String,
        to: String,
        nonce: Secret32,
    },
    /// The answer to it.
    #[serde(rename = "bus-welcome")]
    Welcome { nonce: Secret32, proof: Secret32 },
    /// The answer to one that can't be.
    #[serde(rename = "bus-refused")]
    Refused { reason: String },
    /// The dialler's second word.
    #[serde(rename = "bus-proof")]
    Proof { proof: Secret32 },
    /// So many messages were put on the link, dropped ones too.
    #[serde(rename = "bus-heartbeat")]
    Heartbeat { sent: u64 },
    /// The receiver's heartbeat.
    #[serde(rename = "bus-heard")]
    Heard,
}

impl Control {
    /// Its frame.
    pub(crate) fn encode(&self) -> io::Result<Bytes> {
        encode_private(self, &[]).map_err(io::Error::other)
    }

    /// Reads one; `None` where it is something else.
    pub(crate) fn decode(frame: &Frame) -> Option<Self> {
        serde_json::from_slice(&frame.header).ok()
    }
}

/// One attempt to make a link: who, with whom, and both nonces.
#[derive(Debug, Clone)]
pub(crate) struct Greeting {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) dialler: Secret32,
    pub(crate) listener: Secret32,
}

/// Whose proof it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Dialler,
    Listener,
}

impl Greeting {
    /// That side has the fleet's key, now and for this link.
    pub(crate) fn proof(&self, side: Side, key: &FleetKey) -> Secret32 {
        let label = match side {
            Side::Dialler => "fastchat bus mesh dialler v1",
            Side::Listener => "fastchat bus mesh listener v1",
        };
        let (dialler, listener) = (self.dialler.expose(), self.listener.expose());
        // No name has a zero byte.
        let names = [self.from.as_bytes(), &[0], self.to.as_bytes(), &[0]].concat();
        Secret32::new(key.derive(label, &[&names, &dialler[..], &listener[..]].concat()))
    }

    /// Whether that is the side's proof.
    ///
    /// # Errors
    /// It has another key.
    pub(crate) fn check(&self, side: Side, proof: &Secret32, key: &FleetKey) -> Result<(), Refused> {
        let same: bool = self.proof(side, key).expose().ct_eq(proof.expose()).into();
        if same { Ok(()) } else { Err(Refused::Key) }
    }
}

/// A nonce.
pub(crate) fn nonce() -> Secret32 {
    Secret32::new(rand::random())
}
