//! Sealing a file as a stream.

use super::{CHUNK_BYTES, FileError, PREFIX_BYTES, Pieces, Places, Plaintext};
use crate::{
    seal::{cipher, seal_in_place},
    secret::FileKey,
};
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use std::io::{Read, Write};

/// What the message about a sealed file needs to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFile {
    /// Opens this file and no other.
    pub key: FileKey,
    /// Size and hash of what was sealed.
    pub plaintext: Plaintext,
}

/// Seals a file under a new key, chunk by chunk.
///
/// # Errors
/// [`FileError::Read`], [`FileError::Write`] or [`FileError::TooLarge`]; what was written then is of no use.
pub fn seal_file(source: impl Read, mut target: impl Write, rng: &mut impl CryptoRng) -> Result<SealedFile, FileError> {
    let key = FileKey::random(rng);
    let mut prefix = [0; PREFIX_BYTES];
    rng.fill_bytes(&mut prefix);
    target.write_all(&prefix).map_err(FileError::Write)?;

    let cipher = cipher(key.expose());
    let mut places = Places::new(prefix);
    let mut pieces = Pieces::new(source, CHUNK_BYTES);
    let mut hash = Sha256::new();
    let mut size = 0;
    loop {
        let last = pieces.next(|chunk, last| {
            hash.update(&chunk);
            size += chunk.len() as u64;
            let tag = seal_in_place(&cipher, &places.take(last)?, b"", chunk);
            target
                .write_all(chunk)
                .and_then(|()| target.write_all(&tag))
                .map_err(FileError::Write)
        })?;
        if last {
            break;
        }
    }
    target.flush().map_err(FileError::Write)?;
    let sha256 = hash.finalize().into();
    Ok(SealedFile {
        key,
        plaintext: Plaintext { size, sha256 },
    })
}
