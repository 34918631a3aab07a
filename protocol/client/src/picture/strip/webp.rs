//! WebP (RFC 9649): a RIFF file of chunks, each of type, length, data and a pad byte where the length is odd.

use super::{Broken, exif::orientation_only, reader::Reader};

/// `RIFF`, the length of what follows, `WEBP`.
const HEADER_BYTES: usize = 12;
/// What stands before the chunks of an animation's frame.
const FRAME_HEADER_BYTES: usize = 16;
/// Flags of `VP8X`.
const HAS_EXIF: u8 = 0x08;
const HAS_XMP: u8 = 0x04;

/// Copies what the picture needs.
pub(super) fn strip(bytes: &[u8]) -> Result<Vec<u8>, Broken> {
    let mut reader = Reader::new(bytes);
    let riff = reader.take(4)?;
    let length = reader.length(u32::from_le_bytes)?;
    let mut chunks = Reader::new(reader.take(length)?);
    let webp = chunks.take(4)?;
    let mut kept = [riff, &[0; 4], webp].concat();
    let mut extended = None;
    let (mut exif_seen, mut exif_kept) = (false, false);
    while !chunks.is_at_end() {
        let chunk = Chunk::read(&mut chunks)?;
        match &chunk.kind {
            b"VP8X" => {
                extended = Some(kept.len() + 8);
                kept.extend_from_slice(chunk.whole);
            }
            b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ICCP" => kept.extend_from_slice(chunk.whole),
            b"ANMF" => kept.extend_from_slice(&frame(&chunk)?),
            b"EXIF" if !exif_seen => {
                exif_seen = true;
                if let Some(only) = orientation_only(chunk.data) {
                    put(&mut kept, &chunk.kind, &only);
                    exif_kept = true;
                }
            }
            _ => {}
        }
    }
    if kept[HEADER_BYTES..] == *chunks.since(HEADER_BYTES - 8) {
        return Ok(reader.since(0).to_vec());
    }
    let length = u32::try_from(kept.len() - 8).map_err(|_| Broken::CutShort)?;
    kept[4..8].copy_from_slice(&length.to_le_bytes());
    if let Some(flags) = extended.and_then(|at| kept.get_mut(at)) {
        *flags &= !HAS_XMP;
        if !exif_kept {
            *flags &= !HAS_EXIF;
        }
    }
    Ok(kept)
}

struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
    /// With its head and pad byte.
    whole: &'a [u8],
}

impl<'a> Chunk<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Broken> {
        let start = reader.at();
        let kind = reader.array()?;
        let length = reader.length(u32::from_le_bytes)?;
        let data = reader.take(length)?;
        // Some writers forget the last one.
        if length % 2 == 1 && !reader.is_at_end() {
            reader.byte()?;
        }
        Ok(Self {
            kind,
            data,
            whole: reader.since(start),
        })
    }
}

/// A frame of an animation, with no other chunks than its image's.
fn frame(chunk: &Chunk<'_>) -> Result<Vec<u8>, Broken> {
    let mut reader = Reader::new(chunk.data);
    let mut needed = reader.take(FRAME_HEADER_BYTES)?.to_vec();
    while !reader.is_at_end() {
        let part = Chunk::read(&mut reader)?;
        if matches!(&part.kind, b"ALPH" | b"VP8 " | b"VP8L") {
            needed.extend_from_slice(part.whole);
        }
    }
    if needed.len() == chunk.data.len() {
        return Ok(chunk.whole.to_vec());
    }
    let mut kept = Vec::new();
    put(&mut kept, &chunk.kind, &needed);
    Ok(kept)
}

/// Writes a chunk.
fn put(kept: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    // Its length was read from four bytes, and it only got shorter, or it is a small EXIF.
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    kept.extend_from_slice(kind);
    kept.extend_from_slice(&length.to_le_bytes());
    kept.extend_from_slice(data);
    if length % 2 == 1 {
        kept.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let mut chunk = Vec::new();
        put(&mut chunk, kind, data);
        chunk
    }

    fn webp(chunks: &[&[u8]]) -> Vec<u8> {
        let body = chunks.concat();
        let length = u32::try_from(body.len() + 4).unwrap();
        [&b"RIFF"[..], &length.to_le_bytes(), b"WEBP", &body].concat()
    }

    fn extended(flags: u8) -> Vec<u8> {
        chunk(b"VP8X", &[flags, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    #[test]
    fn what_shows_the_picture_stays_as_it_is() {
        let frame = [&[0; 16][..], &chunk(b"ALPH", b"a"), &chunk(b"VP8 ", b"odd")].concat();
        // Flags that promise more than there is hurt nobody.
        let all = webp(&[
            &extended(0xff),
            &chunk(b"ICCP", b"icc"),
            &chunk(b"ANIM", b"background"),
            &chunk(b"ANMF", &frame),
            &chunk(b"VP8L", b"image"),
        ]);
        assert_eq!(strip(&all).unwrap(), all);
        // Without the last pad byte.
        let short = webp(&[b"VP8L\x05\0\0\0image"]);
        assert_eq!(strip(&short).unwrap(), short);
    }

    #[test]
    fn metadata_and_unknown_chunks_go_from_frames_too() {
        let image = chunk(b"VP8 ", b"image");
        let frame = [&[0; 16][..], &image].concat();
        let chatty = [&[0; 16][..], &chunk(b"XXXX", b"secret"), &image].concat();
        let bare = webp(&[&extended(0x12), &chunk(b"ANMF", &frame)]);
        let full = webp(&[
            &extended(0x1e),
            &chunk(b"XMP ", b"secret"),
            &chunk(b"ANMF", &chatty),
            &chunk(b"EXIF", b"secret"),
            &chunk(b"XXXX", b"secret"),
        ]);
        assert_eq!(strip(&[&full, &b"behind"[..]].concat()).unwrap(), bare);
    }

    #[test]
    fn lengths_beyond_the_end_are_broken() {
        let whole = webp(&[&chunk(b"VP8 ", b"image!")]);
        for end in 0..whole.len() {
            assert_eq!(strip(&whole[..end]), Err(Broken::CutShort), "{end}");
        }
        assert_eq!(strip(&webp(&[b"VP8 \xff\xff\xff\xff"])), Err(Broken::CutShort));
        assert_eq!(strip(&webp(&[&chunk(b"ANMF", b"short")])), Err(Broken::CutShort));
    }
}
