//! What a block of ours begins with, so that whoever gets it knows what it is
//! and how long it took; the rest is a filler that can be verified.
//!
//! ```text
//!  0        8         16    20      24
//!  | number | sent ns | run | sender | filler: number's low byte …
//! ```

/// The smallest block.
pub(crate) const STAMP_BYTES: usize = 24;

/// What a block says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Counts the sender's messages, from 0.
    pub(crate) number: u64,
    /// When it was to be sent, by the process's clock.
    pub(crate) sent_ns: u64,
    /// Tells this run's messages from those of earlier runs.
    pub(crate) run: u32,
    /// Which member of the conversation.
    pub(crate) sender: u32,
}

impl Stamp {
    /// Writes the whole block. It has at least [`STAMP_BYTES`].
    pub(crate) fn write(&self, block: &mut [u8]) {
        let (stamp, filler) = block.split_at_mut(STAMP_BYTES);
        stamp[..8].copy_from_slice(&self.number.to_be_bytes());
        stamp[8..16].copy_from_slice(&self.sent_ns.to_be_bytes());
        stamp[16..20].copy_from_slice(&self.run.to_be_bytes());
        stamp[20..].copy_from_slice(&self.sender.to_be_bytes());
        filler.fill(self.filler());
    }

    /// Reads a block; `None` where it is none of ours.
    pub(crate) fn read(block: &[u8]) -> Option<Self> {
        let number = u64::from_be_bytes(*block.first_chunk()?);
        let sent_ns = u64::from_be_bytes(*block.get(8..)?.first_chunk()?);
        let run = u32::from_be_bytes(*block.get(16..)?.first_chunk()?);
        let sender = u32::from_be_bytes(*block.get(20..)?.first_chunk()?);
        Some(Self {
            number,
            sent_ns,
            run,
            sender,
        })
    }

    /// True where the rest of the block is as it was written.
    pub(crate) fn is_intact(&self, block: &[u8]) -> bool {
        block.iter().skip(STAMP_BYTES).all(|byte| *byte == self.filler())
    }

    fn filler(&self) -> u8 {
        self.number as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        number: 7,
        sent_ns: 1 << 40,
        run: 3,
        sender: 9,
    };

    #[test]
    fn a_block_says_what_was_written() {
        for size in [STAMP_BYTES, 200] {
            let mut block = vec![0; size];
            STAMP.write(&mut block);
            assert_eq!(Stamp::read(&block), Some(STAMP));
            assert!(STAMP.is_intact(&block));
        }
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let mut block = vec![0; 200];
        STAMP.write(&mut block);
        block[150] ^= 1;
        assert!(!STAMP.is_intact(&block));
    }

    #[test]
    fn short_blocks_are_none_of_ours() {
        assert_eq!(Stamp::read(&[0; STAMP_BYTES - 1]), None);
    }
}
