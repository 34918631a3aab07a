//! Opening a sealed file as a stream.

use super::{CHUNK_BYTES, FileError, PREFIX_BYTES, Pieces, Places, Plaintext};
use crate::{
    seal::{TAG_BYTES, cipher, open_in_place},
    secret::FileKey,
};
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Read, Write};

/// Opens a sealed file, chunk by chunk, and compares it with what its message announced.
///
/// Writes no more than the announced size. Only after `Ok` is what was written the file.
///
/// # Errors
/// [`FileError::Read`], [`FileError::Write`], [`FileError::Damaged`] or [`FileError::NotAsAnnounced`].
pub fn open_file(mut source: impl Read, mut target: impl Write, key: &FileKey, announced: &Plaintext) -> Result<(), FileError> {
    let mut prefix = [0; PREFIX_BYTES];
    source.read_exact(&mut prefix).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => FileError::Damaged { chunk: 0 },
        _ => FileError::Read(error),
    })?;

    let cipher = cipher(key.expose());
    let mut places = Places::new(prefix);
    let mut pieces = Pieces::new(source, CHUNK_BYTES + TAG_BYTES);
    let mut hash = Sha256::new();
    let mut size = 0;
    loop {
        let last = pieces.next(|sealed, last| {
            let damaged = FileError::Damaged { chunk: places.next };
            let nonce = places.take(last)?;
            let Some((chunk, tag)) = sealed.split_last_chunk_mut::<TAG_BYTES>() else {
                return Err(damaged);
            };
            if open_in_place(&cipher, &nonce, b"", chunk, tag).is_err() {
                return Err(damaged);
            }
            size += chunk.len() as u64;
            if size > announced.size {
                return Err(FileError::NotAsAnnounced);
            }
            hash.update(&chunk);
            target.write_all(chunk).map_err(FileError::Write)
        })?;
        if last {
            break;
        }
    }
    target.flush().map_err(FileError::Write)?;
    let sha256 = hash.finalize().into();
    if (Plaintext { size, sha256 }) == *announced {
        Ok(())
    } else {
        Err(FileError::NotAsAnnounced)
    }
}
