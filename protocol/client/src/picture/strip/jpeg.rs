//! JPEG (ITU T.81, Annex B): segments, and after each start of scan its entropy-coded data.

use super::{
    Broken,
    exif::{self, orientation_only},
    reader::Reader,
};
use std::borrow::Cow;

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
/// JFIF's header: name, version, density, and the size of a thumbnail that would follow.
const JFIF_BYTES: usize = 14;
/// Adobe's: name, version, flags, colour transform.
const ADOBE_BYTES: usize = 12;

/// Copies what the picture needs.
pub(super) fn strip(bytes: &[u8]) -> Result<Vec<u8>, Broken> {
    let mut reader = Reader::new(bytes);
    let mut kept = Vec::with_capacity(bytes.len());
    kept.extend_from_slice(reader.take(2)?);
    let mut exif_seen = false;
    loop {
        // What stands between segments belongs to none: it goes.
        while reader.peek()? != 0xff {
            reader.byte()?;
        }
        let start = reader.at();
        let marker = loop {
            match reader.byte()? {
                0xff => {}
                marker => break marker,
            }
        };
        match marker {
            END => {
                kept.extend_from_slice(reader.since(start));
                return Ok(kept);
            }
            0x00 | 0x01 | 0xd0..=START => {}
            _ => {
                let at = reader.at();
                let length = u16::from_be_bytes(reader.array()?);
                let contents = length.checked_sub(2).ok_or(Broken::Unreadable(at))?;
                let contents = reader.take(contents.into())?;
                match needed(marker, contents, &mut exif_seen) {
                    Some(same) if *same == *contents => kept.extend_from_slice(reader.since(start)),
                    Some(less) => put(&mut kept, marker, &less),
                    None => {}
                }
                if marker == SCAN {
                    kept.extend_from_slice(scan(&mut reader)?);
                }
            }
        }
    }
}

/// What the picture needs of a segment.
fn needed<'a>(marker: u8, contents: &'a [u8], exif_seen: &mut bool) -> Option<Cow<'a, [u8]>> {
    match marker {
        // Frames and tables (0xc8 is reserved), the scan's header, number of lines, restarts, hierarchy.
        0xc0..=0xc7 | 0xc9..=0xcf | SCAN..=0xdf => Some(contents.into()),
        0xe0 if contents.starts_with(b"JFIF\0") && contents.len() >= JFIF_BYTES => {
            let mut header = contents[..JFIF_BYTES].to_vec();
            header[JFIF_BYTES - 2..].fill(0);
            Some(header.into())
        }
        0xe1 if contents.starts_with(exif::PREFIX) && !*exif_seen => {
            *exif_seen = true;
            orientation_only(contents).map(Cow::from)
        }
        0xe2 if contents.starts_with(b"ICC_PROFILE\0") => Some(contents.into()),
        0xee if contents.starts_with(b"Adobe") && contents.len() >= ADOBE_BYTES => Some(contents[..ADOBE_BYTES].into()),
        _ => None,
    }
}

/// Writes a segment.
fn put(kept: &mut Vec<u8>, marker: u8, contents: &[u8]) {
    // The part of another segment, or a small EXIF: its length fits.
    let length = u16::try_from(contents.len() + 2).unwrap_or(u16::MAX);
    kept.extend_from_slice(&[0xff, marker]);
    kept.extend_from_slice(&length.to_be_bytes());
    kept.extend_from_slice(contents);
}

/// A scan's data: up to the next marker that is no restart.
fn scan<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Broken> {
    let start = reader.at();
    loop {
        if reader.peek()? != 0xff {
            reader.byte()?;
            continue;
        }
        let data = reader.since(start);
        while reader.peek()? == 0xff {
            reader.byte()?;
        }
        match reader.peek()? {
            0x00 | 0xd0..=0xd7 => {
                reader.byte()?;
            }
            _ => {
                reader.back_to(start + data.len());
                return Ok(data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(marker: u8, contents: &[u8]) -> Vec<u8> {
        let mut segment = Vec::new();
        put(&mut segment, marker, contents);
        segment
    }

    fn stripped(parts: &[&[u8]]) -> Result<Vec<u8>, Broken> {
        strip(&parts.concat())
    }

    #[test]
    fn scans_restarts_stuffing_and_fill_bytes_stay() {
        let parts: [&[u8]; 5] = [
            b"\xff\xd8",
            &segment(0xdb, b"\xff\xff table"),
            b"\xff\xff\xff\xda\0\x03\x01data\xff\0data\xff\xd0data\xff\xff\xd1data\xff\xff\0",
            b"\xff\xc4\0\x02\xff\xda\0\x02more",
            b"\xff\xff\xd9",
        ];
        assert_eq!(stripped(&parts).unwrap(), parts.concat());
    }

    #[test]
    fn what_stands_between_and_behind_goes() {
        let comment = segment(0xfe, b"secret");
        let parts: [&[u8]; 9] = [
            b"\xff\xd8",
            b"garbage",
            &segment(0xdb, b"table"),
            &comment,
            b"\xff\xda\0\x02data",
            &comment,
            b"\xff\xda\0\x02more",
            b"\xff\xd9",
            b"behind\xff\xd8\xff\xd9",
        ];
        let bare = stripped(&[parts[0], parts[2], parts[4], parts[6], parts[7]]).unwrap();
        assert_eq!(stripped(&parts).unwrap(), bare);
        assert!(!bare.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn headers_lose_what_hides_behind_them() {
        let jfif = b"JFIF\0\x01\x02\0\0\x01\0\x01\x02\x01rgbrgb";
        let adobe = b"Adobe\0\x64\0\0\0\0\x01behind";
        let kept = stripped(&[b"\xff\xd8", &segment(0xe0, jfif), &segment(0xee, adobe), b"\xff\xd9"]).unwrap();
        let jfif = b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0";
        let expected = [&b"\xff\xd8"[..], &segment(0xe0, jfif), &segment(0xee, &adobe[..12]), b"\xff\xd9"];
        assert_eq!(kept, expected.concat());
    }

    #[test]
    fn previews_and_other_applications_go() {
        for (marker, contents) in [
            (0xe0, &b"JFXX\0\x10preview"[..]),
            (0xe0, b"JFIF\0"),
            (0xe1, b"http://ns.adobe.com/xap/1.0/\0<x>"),
            (0xe2, b"MPF\0II*\0"),
            (0xed, b"Photoshop 3.0\0"),
            (0xee, b"Adobe"),
            (0xef, b"Ducky"),
            (0xf0, b"extension"),
        ] {
            let kept = stripped(&[b"\xff\xd8", &segment(marker, contents), b"\xff\xd9"]).unwrap();
            assert_eq!(kept, b"\xff\xd8\xff\xd9", "{marker:x} {contents:?}");
        }
    }

    #[test]
    fn a_missing_end_and_a_length_of_less_than_its_own_are_broken() {
        assert_eq!(stripped(&[b"\xff\xd8\xff\xda\0\x02data"]), Err(Broken::CutShort));
        assert_eq!(stripped(&[b"\xff\xd8\xff\xdb\0\x01\xff\xd9"]), Err(Broken::Unreadable(4)));
    }
}
