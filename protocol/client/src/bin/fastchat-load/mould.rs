//! Appends from a mould: the frame is encoded once for a log, and for each
//! message only request id, entry id and block are written into a copy.

use crate::{stamp::Stamp, trouble::Trouble};
use fastchat_wire::{Block, EntryId, LogId, chat::append::Append, encode_request};
use uuid::Uuid;

/// Request ids of appends are this plus the message's number: all have ten digits.
pub(crate) const FIRST_ID: u64 = 1_000_000_000;
/// `kind` of our entries.
const KIND: &str = "load";
/// Digits of a request id.
const ID_DIGITS: usize = 10;
/// Characters of a UUID.
const UUID_CHARS: usize = 36;

/// Makes appends to one log.
#[derive(Debug)]
pub(crate) struct Mould {
    frame: Vec<u8>,
    id_at: usize,
    entry_at: usize,
    block_at: usize,
    /// What tells this sender's entry ids from everybody else's.
    salt: u32,
}

impl Mould {
    /// A mould for blocks of `size` bytes.
    ///
    /// # Errors
    /// The frame can't be encoded.
    pub(crate) fn new(log: LogId, size: usize, salt: u32) -> Result<Self, Trouble> {
        // An id that occurs nowhere else in the header.
        let entry = EntryId([0xf7; 16]);
        let append = Append {
            log,
            entry,
            kind: KIND.to_owned(),
            epoch: None,
        };
        let encoded = encode_request(FIRST_ID, &append, &Block::binary(vec![0; size]));
        let frame = encoded.map_err(|error| Trouble::Usage(error.to_string()))?.to_vec();
        let find = |text: &str| frame.windows(text.len()).position(|window| window == text.as_bytes());
        let (Some(id_at), Some(entry_at)) = (find(&FIRST_ID.to_string()), find(&entry.to_string())) else {
            return Err(Trouble::Failed("an append is not encoded as this program knows it".to_owned()));
        };
        let block_at = frame.len() - size;
        Ok(Self {
            frame,
            id_at,
            entry_at,
            block_at,
            salt,
        })
    }

    /// The entry id of a message: the same whenever it is sent again.
    pub(crate) fn entry(&self, stamp: &Stamp) -> EntryId {
        let mut bytes = [0; 16];
        // UUIDv7's time is to be non-decreasing, not true: the run's own clock does.
        bytes[..6].copy_from_slice(&(stamp.sent_ns / 1_000_000).to_be_bytes()[2..]);
        bytes[6..8].copy_from_slice(&(0x7000 | (stamp.run as u16 & 0x0fff)).to_be_bytes());
        bytes[8..12].copy_from_slice(&self.salt.to_be_bytes());
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        bytes[12..].copy_from_slice(&(stamp.number as u32).to_be_bytes());
        EntryId(bytes)
    }

    /// Adds the append of a message to what is to be sent.
    pub(crate) fn cast(&self, stamp: &Stamp, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.frame);
        let frame = &mut out[start..];
        let mut id = FIRST_ID + stamp.number;
        for digit in frame[self.id_at..self.id_at + ID_DIGITS].iter_mut().rev() {
            *digit = b'0' + (id % 10) as u8;
            id /= 10;
        }
        let entry = Uuid::from_bytes(self.entry(stamp).0);
        entry
            .hyphenated()
            .encode_lower(&mut frame[self.entry_at..self.entry_at + UUID_CHARS]);
        stamp.write(&mut frame[self.block_at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::{Deframer, FrameLimits, Kind, Op};

    #[test]
    fn what_it_makes_is_the_append_that_was_meant() {
        let log = LogId::from(Uuid::now_v7());
        let mould = Mould::new(log, 200, u32::MAX).unwrap();
        let mut out = Vec::new();
        let stamps: Vec<_> = [0, 1, 123_456_789]
            .map(|number| Stamp {
                number,
                sent_ns: 5_000_000_000,
                run: 77,
                sender: 1,
            })
            .to_vec();
        stamps.iter().for_each(|stamp| mould.cast(stamp, &mut out));
        let mut deframer = Deframer::new(FrameLimits::DEFAULT);
        deframer.push(&out);
        for stamp in stamps {
            let frame = deframer.next().unwrap().unwrap();
            let id = FIRST_ID + stamp.number;
            assert_eq!(frame.head.kind, Kind::Request { op: Some(Op::Append), id });
            let append: Append = frame.parse().unwrap();
            assert_eq!((append.log, append.entry), (log, mould.entry(&stamp)));
            assert_eq!(Uuid::from_bytes(append.entry.0).get_version_num(), 7);
            assert_eq!(Stamp::read(&frame.block), Some(stamp));
            assert!(stamp.is_intact(&frame.block));
        }
        assert_eq!(deframer.next().unwrap(), None);
    }
}
