//! Sealed files: the STREAM construction over AES-256-GCM, in bounded memory.
//!
//! ```text
//!  prefix 7 ‖ chunk ‖ chunk ‖ … ‖ last chunk
//!             each: AES-256-GCM of up to 64 KiB, tag 16 at its end,
//!             nonce = prefix ‖ u32 counter from 0 ‖ u8 (1 on the last chunk, else 0)
//! ```
//!
//! Every chunk but the last has 64 KiB of plaintext. A chunk that was dropped,
//! swapped, added or cut fails to open, since its nonce names its place and
//! whether it is the last. Each file has a key of its own, drawn here, so that
//! no key ever seals two files.
//!
//! What was opened before an error is part of the file, yet not the file: a
//! receiver writes to a temporary name and renames only after [`open_file`]
//! has returned.

mod open;
mod seal;

pub use open::open_file;
pub use seal::{SealedFile, seal_file};

use crate::seal::{NONCE_BYTES, TAG_BYTES};
use std::io::{self, ErrorKind, Read};

/// Plaintext bytes of each chunk but the last.
pub const CHUNK_BYTES: usize = 64 << 10;
const PREFIX_BYTES: usize = 7;

/// What a file's message says of its plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plaintext {
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// Why a file was not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The source can't be read.
    #[error("the file can't be read: {0}")]
    Read(#[source] io::Error),
    /// The target can't be written (a full disk, say).
    #[error("the file can't be written: {0}; make room or choose another folder, then fetch it again")]
    Write(#[source] io::Error),
    /// More than 2³² chunks.
    #[error("the file is too large: at most 256 TiB can be sealed")]
    TooLarge,
    /// The sealed file ends before its last chunk, or was changed, reordered or extended, or has another key.
    #[error("the sealed file is damaged (chunk {chunk}): it was cut off or changed on its way; fetch it again or ask for it again")]
    Damaged {
        /// The first chunk that does not open, from 0.
        chunk: u64,
    },
    /// What opened is not what its message announced.
    #[error("the file is not the one that its sender announced (size or SHA-256 differ): ask for it again")]
    NotAsAnnounced,
}

/// Length of the sealed form of so many plaintext bytes; `None` above what can be sealed.
#[must_use]
pub fn sealed_size(plain_size: u64) -> Option<u64> {
    let chunks = plain_size.div_ceil(CHUNK_BYTES as u64).max(1);
    if chunks > 1 << 32 {
        return None;
    }
    Some(PREFIX_BYTES as u64 + plain_size + chunks * TAG_BYTES as u64)
}

/// Where chunks stand in their stream.
struct Places {
    prefix: [u8; PREFIX_BYTES],
    next: u64,
}

impl Places {
    fn new(prefix: [u8; PREFIX_BYTES]) -> Self {
        Self { prefix, next: 0 }
    }

    /// The nonce of the next chunk.
    fn take(&mut self, last: bool) -> Result<[u8; NONCE_BYTES], FileError> {
        let counter = u32::try_from(self.next).map_err(|_| FileError::TooLarge)?;
        self.next += 1;
        let mut nonce = [0; NONCE_BYTES];
        nonce[..PREFIX_BYTES].copy_from_slice(&self.prefix);
        nonce[PREFIX_BYTES..NONCE_BYTES - 1].copy_from_slice(&counter.to_be_bytes());
        nonce[NONCE_BYTES - 1] = u8::from(last);
        Ok(nonce)
    }
}

/// Cuts a source into pieces of one size, and knows at each whether it is the last.
struct Pieces<R> {
    source: R,
    size: usize,
    /// One byte more than a piece, the look-ahead that tells the last one.
    buffer: zeroize::Zeroizing<Vec<u8>>,
    filled: usize,
}

impl<R: Read> Pieces<R> {
    fn new(source: R, size: usize) -> Self {
        Self {
            source,
            size,
            buffer: zeroize::Zeroizing::new(vec![0; size + 1]),
            filled: 0,
        }
    }

    /// Hands the next piece to `use_it`, with whether it is the last; gives that back.
    fn next(&mut self, use_it: impl FnOnce(&mut [u8], bool) -> Result<(), FileError>) -> Result<bool, FileError> {
        while self.filled <= self.size {
            match self.source.read(&mut self.buffer[self.filled..]) {
                Ok(0) => break,
                Ok(n) => self.filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(FileError::Read(error)),
            }
        }
        let last = self.filled <= self.size;
        let ahead = self.buffer[self.size];
        let length = self.filled.min(self.size);
        use_it(&mut self.buffer[..length], last)?;
        self.buffer[0] = ahead;
        self.filled = usize::from(!last);
        Ok(last)
    }
}

#[cfg(test)]
mod tests;
