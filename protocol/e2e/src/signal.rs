//! Signals: what members are told now and nobody keeps, like that somebody is typing.
//!
//! ```text
//!  device 16 ‖ u64 counter ‖ AES-256-GCM(key, nonce = u32 0 ‖ u64 counter, additional data = conversation ‖ u64 epoch)
//!  key = MLS-Exporter("fastchat signal", device, 32) of that epoch
//! ```
//!
//! Every member can derive every device's key: a signal says that *some* member made it. Believe no more of it.

use crate::{
    id::{ConversationId, DeviceId},
    seal::{cipher, open_in_place, seal_in_place},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The exporter's label.
pub(crate) const LABEL: &[u8] = b"fastchat signal";
/// Largest signal before it is sealed, in bytes.
pub const SIGNAL_BYTES_MAX: usize = 1 << 10;

const TAG_BYTES: usize = 16;

/// What members are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Signal {
    /// Its sender writes something just now.
    Typing,
    /// Of a type that this client does not know.
    #[serde(other)]
    Unknown,
}

impl Signal {
    pub(crate) fn encode(self) -> Vec<u8> {
        match self {
            Self::Typing => br#"{"type":"typing"}"#.to_vec(),
            Self::Unknown => br#"{"type":"unknown"}"#.to_vec(),
        }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// What a signal is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalPlace {
    /// Where.
    pub conversation: ConversationId,
    /// The group's MLS epoch.
    pub epoch: u64,
    /// Whose.
    pub device: DeviceId,
    /// From 1; no number is used twice by a device in an epoch.
    pub counter: u64,
}

impl SignalPlace {
    fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.counter.to_be_bytes());
        nonce
    }

    fn additional(&self) -> Vec<u8> {
        [&self.conversation.as_bytes()[..], &self.epoch.to_be_bytes()].concat()
    }
}

/// Seals a signal under its device's key of the epoch.
#[must_use]
pub fn seal_signal(key: &[u8; 32], place: &SignalPlace, plain: &[u8]) -> Vec<u8> {
    let mut sealed = plain.to_vec();
    let tag = seal_in_place(&cipher(key), &place.nonce(), &place.additional(), &mut sealed);
    [&place.device.as_bytes()[..], &place.counter.to_be_bytes(), &sealed, &tag].concat()
}

/// Whose signal a block is, by its own word, and which.
#[must_use]
pub fn signal_sender(block: &[u8]) -> Option<(DeviceId, u64)> {
    let (device, rest) = block.split_first_chunk()?;
    let (counter, _) = rest.split_first_chunk()?;
    Some((DeviceId(*device), u64::from_be_bytes(*counter)))
}

/// Opens a block of a conversation's epoch; none where it is not of that device and place, or larger than
/// [`SIGNAL_BYTES_MAX`].
#[must_use]
pub fn open_signal(key: &[u8; 32], place: &SignalPlace, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if signal_sender(block) != Some((place.device, place.counter)) {
        return None;
    }
    let (sealed, tag) = block.get(24..)?.split_last_chunk::<TAG_BYTES>()?;
    if sealed.len() > SIGNAL_BYTES_MAX {
        return None;
    }
    let mut plain = Zeroizing::new(sealed.to_vec());
    let opened = open_in_place(&cipher(key), &place.nonce(), &place.additional(), &mut plain, tag);
    opened.is_ok().then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: SignalPlace = SignalPlace {
        conversation: ConversationId([1; 16]),
        epoch: 5,
        device: DeviceId([2; 16]),
        counter: 7,
    };

    #[test]
    fn a_signal_opens_in_its_place_and_in_no_other() {
        let block = seal_signal(&[3; 32], &PLACE, b"hi");
        assert_eq!(open_signal(&[3; 32], &PLACE, &block).unwrap().as_slice(), b"hi");
        assert_eq!(signal_sender(&block), Some((PLACE.device, 7)));
        assert!(open_signal(&[4; 32], &PLACE, &block).is_none());
        let elsewhere = [
            SignalPlace {
                conversation: ConversationId([9; 16]),
                ..PLACE
            },
            SignalPlace { epoch: 6, ..PLACE },
            SignalPlace {
                device: DeviceId([9; 16]),
                ..PLACE
            },
            SignalPlace { counter: 8, ..PLACE },
        ];
        for place in elsewhere {
            assert!(open_signal(&[3; 32], &place, &block).is_none(), "{place:?}");
        }
        for cut in 0..block.len() {
            assert!(open_signal(&[3; 32], &PLACE, &block[..cut]).is_none());
        }
    }

    #[test]
    fn a_signal_at_its_limit_opens_and_beyond_it_does_not() {
        let block = |bytes| seal_signal(&[3; 32], &PLACE, &vec![0; bytes]);
        assert!(open_signal(&[3; 32], &PLACE, &block(SIGNAL_BYTES_MAX)).is_some());
        assert!(open_signal(&[3; 32], &PLACE, &block(SIGNAL_BYTES_MAX + 1)).is_none());
    }

    #[test]
    fn a_type_that_is_not_known_is_told_apart() {
        assert_eq!(Signal::parse(&Signal::Typing.encode()), Some(Signal::Typing));
        assert_eq!(Signal::parse(br#"{"type":"ringing","for":5}"#), Some(Signal::Unknown));
        assert_eq!(Signal::parse(b"typing"), None);
    }
}
