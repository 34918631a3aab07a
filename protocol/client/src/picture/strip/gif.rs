//! GIF (89a): blocks, most of them with data in sub-blocks of at most 255 bytes.

use super::{Broken, reader::Reader};

const IMAGE: u8 = 0x2c;
const EXTENSION: u8 = 0x21;
const TRAILER: u8 = 0x3b;
/// Extension: how the next image is shown.
const CONTROL: u8 = 0xf9;
/// Extension: what some application wants.
const APPLICATION: u8 = 0xff;
/// Signature, version, width, height, flags, background, aspect.
const HEADER_BYTES: usize = 13;
/// Place, size and flags of an image.
const IMAGE_BYTES: usize = 9;

/// Copies what the picture needs.
pub(super) fn strip(bytes: &[u8]) -> Result<Vec<u8>, Broken> {
    let mut reader = Reader::new(bytes);
    let mut kept = Vec::with_capacity(bytes.len());
    let header = reader.take(HEADER_BYTES)?;
    reader.take(colours(header[10]))?;
    kept.extend_from_slice(reader.since(0));
    let mut has_image = false;
    loop {
        // Some writers forget the trailer, and viewers don't miss it.
        if has_image && reader.is_at_end() {
            return Ok(kept);
        }
        let start = reader.at();
        match reader.byte()? {
            TRAILER => {
                kept.push(TRAILER);
                return Ok(kept);
            }
            IMAGE => {
                let image = reader.take(IMAGE_BYTES)?;
                reader.take(colours(image[8]))?;
                let _code_bits = reader.byte()?;
                while !sub_block(&mut reader)?.is_empty() {}
                kept.extend_from_slice(reader.since(start));
                has_image = true;
            }
            EXTENSION => match reader.byte()? {
                CONTROL => {
                    while !sub_block(&mut reader)?.is_empty() {}
                    kept.extend_from_slice(reader.since(start));
                }
                APPLICATION => application(&mut reader, start, &mut kept)?,
                // A comment, a plain text that no viewer shows, or unknown.
                _ => while !sub_block(&mut reader)?.is_empty() {},
            },
            _ => return Err(Broken::Unreadable(start)),
        }
    }
}

/// Bytes of the table of colours that flags tell of.
fn colours(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 0x07) + 1) }
}

/// The next sub-block's data; none is in the last one.
fn sub_block<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Broken> {
    let length = reader.byte()?;
    reader.take(length.into())
}

/// Of applications' extensions, those that say how often an animation runs, without anything else in them.
fn application(reader: &mut Reader<'_>, start: usize, kept: &mut Vec<u8>) -> Result<(), Broken> {
    let is_loop = matches!(sub_block(reader)?, b"NETSCAPE2.0" | b"ANIMEXTS1.0");
    if is_loop {
        kept.extend_from_slice(reader.since(start));
    }
    loop {
        let start = reader.at();
        let data = sub_block(reader)?;
        // Times to run, and bytes to read ahead.
        let is_known = matches!((data.first(), data.len()), (Some(1), 3) | (Some(2), 5));
        if is_loop && (is_known || data.is_empty()) {
            kept.extend_from_slice(reader.since(start));
        }
        if data.is_empty() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0rgbrgb";
    const SHOWN: &[u8] = b"\x21\xf9\x04\0\0\0\0\0";
    const PIXELS: &[u8] = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
    const LOOP: &[u8] = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0";
    const END: &[u8] = b"\x3b";

    #[test]
    fn images_their_control_and_the_loop_stay() {
        for extension in [LOOP, b"\x21\xff\x0bANIMEXTS1.0\x03\x01\x05\0\0", b""] {
            let gif = [HEADER, extension, SHOWN, PIXELS, SHOWN, PIXELS, END].concat();
            assert_eq!(strip(&gif).unwrap(), gif);
        }
        let own_colours = b"\x2c\0\0\0\0\x01\0\x01\0\x80rgbrgb\x02\x02\x44\x01\0";
        let gif = [&b"GIF87a\x01\0\x01\0\0\0\0"[..], own_colours, END].concat();
        assert_eq!(strip(&gif).unwrap(), gif);
    }

    #[test]
    fn comments_texts_applications_and_what_follows_go() {
        let mut xmp = b"\x21\xff\x0bXMP DataXMP<x:xmpmeta>secret</x:xmpmeta>\x01".to_vec();
        xmp.extend((0..=255).rev());
        xmp.push(0);
        let gif = [
            HEADER,
            b"\x21\xfe\x06secret\x04more\0",
            b"\x21\xff\x0bNETSCAPE2.0\x06secret\x03\x01\0\0\x03\x09no\0",
            &xmp,
            SHOWN,
            b"\x21\x01\x0c\0\0\0\0\0\0\0\0\0\0\0\0\x06secret\0",
            b"\x21\xce\x04name\0",
            PIXELS,
            END,
            b"behind",
        ];
        assert_eq!(strip(&gif.concat()).unwrap(), [HEADER, LOOP, SHOWN, PIXELS, END].concat());
    }

    #[test]
    fn a_missing_trailer_is_nothing_to_strip() {
        let gif = [HEADER, LOOP, SHOWN, PIXELS].concat();
        assert_eq!(strip(&gif).unwrap(), gif);
    }

    #[test]
    fn a_missing_end_and_unknown_blocks_are_broken() {
        let whole = [HEADER, LOOP, SHOWN, PIXELS].concat();
        for end in 0..whole.len() {
            assert_eq!(strip(&whole[..end]), Err(Broken::CutShort), "{end}");
        }
        assert_eq!(strip(&[HEADER, b"?"].concat()), Err(Broken::Unreadable(HEADER.len())));
    }
}
