//! PNG (third edition): chunks of length, type, data and checksum.

use super::{Broken, exif::orientation_only, reader::Reader};
use img_parts::png::PngChunk;

/// Every PNG begins so.
pub(in crate::picture) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The ancillary chunks that say how the picture is shown.
const NEEDED: [&[u8; 4]; 17] = [
    b"acTL", b"bKGD", b"cHRM", b"cICP", b"cLLI", b"cLLi", b"fcTL", b"fdAT", b"gAMA", b"hIST", b"iCCP", b"mDCV", b"mDCv", b"pHYs", b"sBIT",
    b"sRGB", b"tRNS",
];

/// Copies what the picture needs.
pub(super) fn strip(bytes: &[u8]) -> Result<Vec<u8>, Broken> {
    let mut reader = Reader::new(bytes);
    let mut kept = Vec::with_capacity(bytes.len());
    kept.extend_from_slice(reader.take(SIGNATURE.len())?);
    let mut exif_seen = false;
    loop {
        let start = reader.at();
        let length = reader.length(u32::from_be_bytes)?;
        let kind: [u8; 4] = reader.array()?;
        let data = reader.take(length)?;
        let _checksum = reader.take(4)?;
        let is_critical = kind[0].is_ascii_uppercase();
        if is_critical || NEEDED.contains(&&kind) {
            kept.extend_from_slice(reader.since(start));
        } else if &kind == b"eXIf" && !exif_seen {
            exif_seen = true;
            if let Some(only) = orientation_only(data) {
                kept.extend_from_slice(&PngChunk::new(kind, only.into()).encoder().bytes());
            }
        }
        if &kind == b"IEND" {
            return Ok(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        PngChunk::new(*kind, data.to_vec().into()).encoder().bytes().to_vec()
    }

    #[test]
    fn critical_and_needed_chunks_stay_as_they_are() {
        let mut png = SIGNATURE.to_vec();
        png.extend(chunk(b"IHDR", b"header"));
        for kind in NEEDED {
            png.extend(chunk(kind, b"data"));
        }
        png.extend(chunk(b"PLTE", b"rgb"));
        png.extend(chunk(b"IDAT", b"pixels"));
        png.extend(chunk(b"IEND", b""));
        assert_eq!(strip(&png).unwrap(), png);
    }

    #[test]
    fn texts_time_and_what_is_unknown_go_wherever_they_stand() {
        let mut bare = SIGNATURE.to_vec();
        let mut png = bare.clone();
        for kind in [b"IHDR", b"IDAT", b"IDAT", b"IEND"] {
            let needed = chunk(kind, b"");
            for kind in [b"tEXt", b"zTXt", b"iTXt", b"tIME", b"caBX", b"prVt", b"eXIf"] {
                png.extend(chunk(kind, b"secret"));
            }
            png.extend(&needed);
            bare.extend(&needed);
        }
        png.extend(b"behind");
        assert_eq!(strip(&png).unwrap(), bare);
    }

    #[test]
    fn a_text_with_a_wrong_checksum_breaks_nothing() {
        let end = chunk(b"IEND", b"");
        let png = [SIGNATURE, b"\0\0\0\x02tEXthi0000", &end].concat();
        assert_eq!(strip(&png).unwrap(), [SIGNATURE, &end].concat());
    }

    #[test]
    fn a_missing_end_is_broken() {
        let png = [SIGNATURE, &chunk(b"IHDR", b"header")].concat();
        assert_eq!(strip(&png), Err(Broken::CutShort));
        assert_eq!(strip(&[SIGNATURE, b"\xff\xff\xff\xffIDAT"].concat()), Err(Broken::CutShort));
    }
}
