//! Files of any size come back; damaged ones don't.

use super::*;
use crate::secret::FileKey;
use proptest::prelude::*;

const SEALED_CHUNK: usize = CHUNK_BYTES + TAG_BYTES;

fn sealed(plain: &[u8]) -> (Vec<u8>, SealedFile) {
    let mut bytes = Vec::new();
    let file = seal_file(plain, &mut bytes, &mut rand::rng()).unwrap();
    (bytes, file)
}

fn opened(sealed: &[u8], file: &SealedFile) -> Result<Vec<u8>, FileError> {
    let mut plain = Vec::new();
    open_file(sealed, &mut plain, &file.key, &file.plaintext)?;
    Ok(plain)
}

fn is_damaged(sealed: &[u8], file: &SealedFile) -> bool {
    matches!(opened(sealed, file), Err(FileError::Damaged { .. }))
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 % 251) as u8).collect()
}

/// Gives its bytes a few at a time, as a socket does.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.1.min(buffer.len());
        self.0.read(&mut buffer[..n])
    }
}

/// A disk that is full after so many bytes.
struct FullAfter(usize);

impl io::Write for FullAfter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn files_around_chunk_borders_come_back_and_have_the_foretold_size() {
    for size in [0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 200_000] {
        let plain = content(size);
        let (bytes, file) = sealed(&plain);
        assert_eq!(bytes.len() as u64, sealed_size(size as u64).unwrap(), "{size}");
        assert_eq!(file.plaintext.size, size as u64);
        assert_eq!(opened(&bytes, &file).unwrap(), plain, "{size}");
    }
}

#[test]
fn every_truncation_at_and_around_chunk_borders_is_noticed() {
    let (bytes, file) = sealed(&content(3 * CHUNK_BYTES));
    for chunk in 0..=3 {
        let border = PREFIX_BYTES + chunk * SEALED_CHUNK;
        for cut in [border.saturating_sub(17), border - 1, border, border + 1, border + 16] {
            if cut < bytes.len() {
                assert!(is_damaged(&bytes[..cut], &file), "{cut}");
            }
        }
    }
}

#[test]
fn swapped_repeated_dropped_and_added_chunks_are_noticed() {
    let (bytes, file) = sealed(&content(3 * CHUNK_BYTES + 5));
    let (prefix, chunks) = bytes.split_at(PREFIX_BYTES);
    let chunks: Vec<&[u8]> = chunks.chunks(SEALED_CHUNK).collect();
    for order in [
        &[1, 0, 2, 3][..],
        &[0, 0, 1, 3],
        &[0, 2, 3],
        &[0, 1, 2, 3, 3],
        &[0, 1, 2, 2, 3],
        &[3],
    ] {
        let mut other = prefix.to_vec();
        order.iter().for_each(|i| other.extend_from_slice(chunks[*i]));
        assert!(is_damaged(&other, &file), "{order:?}");
    }
    assert!(is_damaged(&[&bytes[..], &[0]].concat(), &file));
}

#[test]
fn a_full_last_chunk_and_an_empty_one_after_it_both_open() {
    // Ours has a full last chunk; another implementation may end with an empty one.
    let plain = content(CHUNK_BYTES);
    let (bytes, file) = sealed(&plain);
    assert_eq!(bytes.len(), PREFIX_BYTES + SEALED_CHUNK);
    let mut places = Places::new(*bytes.first_chunk().unwrap());
    let cipher = crate::seal::cipher(file.key.expose());
    let mut other = bytes[..PREFIX_BYTES].to_vec();
    for (last, chunk) in [(false, &plain[..]), (true, &[])] {
        let mut chunk = chunk.to_vec();
        let tag = crate::seal::seal_in_place(&cipher, &places.take(last).unwrap(), b"", &mut chunk);
        other.extend([&chunk[..], &tag].concat());
    }
    assert_eq!(opened(&other, &file).unwrap(), plain);
}

#[test]
fn another_key_or_an_announcement_that_does_not_fit_is_refused() {
    let (bytes, file) = sealed(b"what was said");
    let other_key = SealedFile {
        key: FileKey::new([0; 32]),
        ..file.clone()
    };
    assert!(is_damaged(&bytes, &other_key));
    let mut announced = file.clone();
    announced.plaintext.sha256[0] ^= 1;
    assert!(matches!(opened(&bytes, &announced), Err(FileError::NotAsAnnounced)));
    let mut announced = file;
    announced.plaintext.size -= 1;
    assert!(matches!(opened(&bytes, &announced), Err(FileError::NotAsAnnounced)));
}

#[test]
fn a_full_disk_is_an_error_of_writing() {
    let (bytes, file) = sealed(&content(3 * CHUNK_BYTES));
    let result = open_file(&bytes[..], FullAfter(CHUNK_BYTES), &file.key, &file.plaintext);
    assert!(matches!(result, Err(FileError::Write(_))));
    assert!(matches!(
        seal_file(&content(CHUNK_BYTES)[..], FullAfter(10), &mut rand::rng()),
        Err(FileError::Write(_))
    ));
}

#[test]
fn sizes_are_foretold_up_to_the_last_counter() {
    assert_eq!(sealed_size(0), Some(23));
    assert_eq!(sealed_size(1 << 48), Some(7 + (1 << 48) + (16 << 32)));
    assert_eq!(sealed_size((1 << 48) + 1), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_file_read_in_any_pieces_round_trips(size in 0..3 * CHUNK_BYTES, piece in 1..100_000_usize) {
        let plain = content(size);
        let mut bytes = Vec::new();
        let file = seal_file(Dribble(&plain, piece), &mut bytes, &mut rand::rng()).unwrap();
        let mut back = Vec::new();
        open_file(Dribble(&bytes, piece), &mut back, &file.key, &file.plaintext).unwrap();
        prop_assert_eq!(back, plain);
    }

    #[test]
    fn any_flipped_bit_is_noticed(size in 0..2 * CHUNK_BYTES, at: prop::sample::Index, bit in 0..8_u8) {
        let (mut bytes, file) = sealed(&content(size));
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(is_damaged(&bytes, &file));
    }

    #[test]
    fn any_truncation_is_noticed(size in 0..2 * CHUNK_BYTES, at: prop::sample::Index) {
        let (bytes, file) = sealed(&content(size));
        prop_assert!(is_damaged(&bytes[..at.index(bytes.len())], &file));
    }
}
