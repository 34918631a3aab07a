//! What travels through the broker: sealed by the fleet's key against strangers, not against eyes. Pure.
//!
//! ```text
//!  version ‖ tag (16) ‖ kind ‖ from ‖ incarnation ‖
//!     beat: number ‖ broadcasts ‖ what is known of each peer: name, incarnation, link, sent
//!     one:  to ‖ its incarnation ‖ link ‖ first ‖ broadcasts ‖ frames
//!     all:  first ‖ frames
//! ```
//!
//! The tag is HMAC-SHA256 under a key derived from the fleet's, cut to 16
//! bytes, of all that follows it. Numbers are big-endian, names have their
//! length in a byte before them. A message to one server names that server's
//! incarnation, so that nobody can send it again to the next one.

use crate::fleet_key::FleetKey;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::sync::Arc;

/// Bytes of the tag.
const TAG_BYTES: usize = 16;
/// Of the version, and the tag.
const HEAD_BYTES: usize = 1 + TAG_BYTES;
/// What a heartbeat, a message to one, and one to all begin with.
const KINDS: [u8; 3] = [1, 2, 3];

/// Whom a run of messages is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum To {
    /// One server, on our link of that number.
    One {
        server: Arc<str>,
        /// Its incarnation.
        incarnation: u64,
        link: u64,
    },
    /// All.
    All,
}

/// What a heartbeat says of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Of {
    pub(super) peer: Arc<str>,
    /// The one that was heard of last.
    pub(super) incarnation: u64,
    /// Our link to it; 0 without one.
    pub(super) link: u64,
    /// Messages sent on that link, dropped ones too.
    pub(super) sent: u64,
}

/// What travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// A heartbeat.
    Beat {
        /// Counts heartbeats.
        number: u64,
        /// Messages sent to all so far, dropped ones too.
        broadcasts: u64,
        peers: Vec<Of>,
    },
    /// Messages.
    Run {
        to: To,
        /// The first one's number; the others follow it.
        first: u64,
        /// Messages sent to all so far; 0 in one to all.
        broadcasts: u64,
        /// As [`Message::encode`](crate::bus::Message::encode) writes them, one after the other.
        frames: Bytes,
    },
}

/// Who sent it, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) from: String,
    pub(super) incarnation: u64,
    pub(super) body: Body,
}

/// What is wrong with an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    Version,
    Tag,
    Form,
}

/// Seals and opens envelopes.
#[derive(Clone)]
pub(super) struct Sealer {
    mac: Hmac<Sha256>,
}

impl Sealer {
    /// The fleet's.
    pub(super) fn new(key: &FleetKey) -> Self {
        let key = key.derive("fastchat bus nats v1", b"");
        #[expect(clippy::expect_used, reason = "HMAC accepts every key length")]
        let mac = Hmac::new_from_slice(&key).expect("HMAC accepts every key length");
        Self { mac }
    }

    /// Writes one.
    pub(super) fn seal(&self, from: &str, incarnation: u64, body: &Body) -> Bytes {
        let frames_bytes = match body {
            Body::Beat { peers, .. } => peers.len() * 64,
            Body::Run { frames, .. } => frames.len(),
        };
        let mut bytes = BytesMut::with_capacity(HEAD_BYTES + 256 + frames_bytes);
        bytes.put_u8(crate::bus::VERSION);
        bytes.put_bytes(0, TAG_BYTES);
        let [beat, one, all] = KINDS;
        bytes.put_u8(match body {
            Body::Beat { .. } => beat,
            Body::Run { to: To::One { .. }, .. } => one,
            Body::Run { to: To::All, .. } => all,
        });
        put_name(&mut bytes, from);
        bytes.put_u64(incarnation);
        match body {
            Body::Beat { number, broadcasts, peers } => {
                bytes.put_u64(*number);
                bytes.put_u64(*broadcasts);
                for of in peers {
                    put_name(&mut bytes, &of.peer);
                    for number in [of.incarnation, of.link, of.sent] {
                        bytes.put_u64(number);
                    }
                }
            }
            Body::Run {
                to,
                first,
                broadcasts,
                frames,
            } => {
                if let To::One { server, incarnation, link } = to {
                    put_name(&mut bytes, server);
                    for number in [*incarnation, *link, *first, *broadcasts] {
                        bytes.put_u64(number);
                    }
                } else {
                    bytes.put_u64(*first);
                }
                bytes.put_slice(frames);
            }
        }
        let tag = self.mac.clone().chain_update(&bytes[HEAD_BYTES..]).finalize().into_bytes();
        bytes[1..HEAD_BYTES].copy_from_slice(&tag[..TAG_BYTES]);
        bytes.freeze()
    }

    /// Reads one.
    pub(super) fn open(&self, mut bytes: Bytes) -> Result<Envelope, Wrong> {
        match bytes.first() {
            Some(&crate::bus::VERSION) => {}
            Some(_) => return Err(Wrong::Version),
            None => return Err(Wrong::Form),
        }
        if bytes.len() < HEAD_BYTES {
            return Err(Wrong::Form);
        }
        let head = bytes.split_to(HEAD_BYTES);
        let mac = self.mac.clone().chain_update(&bytes);
        mac.verify_truncated_left(&head[1..]).map_err(|_| Wrong::Tag)?;
        read(bytes).ok_or(Wrong::Form)
    }
}

fn put_name(bytes: &mut BytesMut, name: &str) {
    // Names of processes have 64 characters at most.
    let name = &name.as_bytes()[..name.len().min(usize::from(u8::MAX))];
    bytes.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.put_slice(name);
}

fn name(bytes: &mut Bytes) -> Option<String> {
    let length = usize::from(bytes.try_get_u8().ok()?);
    (bytes.len() >= length).then(|| bytes.split_to(length))?.to_vec().try_into().ok()
}

fn read(mut bytes: Bytes) -> Option<Envelope> {
    let bytes = &mut bytes;
    let number = |bytes: &mut Bytes| bytes.try_get_u64().ok();
    let kind = bytes.try_get_u8().ok()?;
    let from = name(bytes)?;
    let incarnation = number(bytes)?;
    let [beat, one, all] = KINDS;
    let body = if kind == beat {
        let (beats, broadcasts) = (number(bytes)?, number(bytes)?);
        let mut peers = Vec::new();
        while bytes.has_remaining() {
            peers.push(Of {
                peer: name(bytes)?.into(),
                incarnation: number(bytes)?,
                link: number(bytes)?,
                sent: number(bytes)?,
            });
        }
        Body::Beat {
            number: beats,
            broadcasts,
            peers,
        }
    } else if kind == one {
        let to = To::One {
            server: name(bytes)?.into(),
            incarnation: number(bytes)?,
            link: number(bytes)?,
        };
        Body::Run {
            to,
            first: number(bytes)?,
            broadcasts: number(bytes)?,
            frames: bytes.split_off(0),
        }
    } else if kind == all {
        Body::Run {
            to: To::All,
            first: number(bytes)?,
            broadcasts: 0,
            frames: bytes.split_off(0),
        }
    } else {
        return None;
    };
    Some(Envelope { from, incarnation, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::Secret32;

    fn sealer(key: u8) -> Sealer {
        Sealer::new(&FleetKey::new(Secret32::new([key; 32])))
    }

    fn bodies() -> [Body; 3] {
        let of = |peer: &str| Of {
            peer: peer.into(),
            incarnation: 1,
            link: 2,
            sent: 3,
        };
        let run = |to, broadcasts| Body::Run {
            to,
            first: 9,
            broadcasts,
            frames: Bytes::from_static(b"frames"),
        };
        let one = To::One {
            server: "s2".into(),
            incarnation: 7,
            link: 8,
        };
        [
            Body::Beat {
                number: 4,
                broadcasts: 5,
                peers: vec![of("s2"), of("s3.example")],
            },
            run(one, 6),
            run(To::All, 0),
        ]
    }

    #[test]
    fn what_is_sealed_is_opened_as_it_was() {
        for body in bodies() {
            let opened = sealer(1).open(sealer(1).seal("s1", 42, &body)).unwrap();
            assert_eq!((opened.from.as_str(), opened.incarnation, opened.body), ("s1", 42, body));
        }
    }

    #[test]
    fn a_changed_bit_another_fleet_and_a_cut_are_noticed() {
        for body in bodies() {
            let sealed = sealer(1).seal("s1", 42, &body);
            assert_eq!(sealer(2).open(sealed.clone()), Err(Wrong::Tag));
            for place in 0..sealed.len() {
                let mut changed = sealed.to_vec();
                changed[place] ^= 1;
                let wrong = if place == 0 { Wrong::Version } else { Wrong::Tag };
                assert_eq!(sealer(1).open(changed.into()), Err(wrong), "byte {place}");
                assert!(sealer(1).open(sealed.slice(..place)).is_err(), "cut at {place}");
            }
        }
    }
}
