//! Metadata is planted into pictures, and is gone from what is sent.

use super::{
    pixels,
    samples::{FORMATS, chunk, sample, scene},
};
use crate::picture::{Format, Picture, prepare};
use image::{DynamicImage, ImageDecoder, ImageReader, metadata::Orientation};
use std::io::Cursor;

/// What must be found nowhere.
const SECRETS: [&str; 3] = ["48.8584N 2.2945E", "Jane Doe's telephone", "edited in the kitchen"];

/// EXIF as cameras write it, big-endian: a maker, the orientation, and a place behind them.
fn exif(orientation: u8) -> Vec<u8> {
    let mut exif = b"MM\0*\0\0\0\x08\0\x02".to_vec();
    exif.extend(b"\x01\x0f\0\x02\0\0\0\x15\0\0\0\x26");
    exif.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    exif.extend([0; 4]);
    exif.extend(SECRETS[1].bytes());
    exif.extend(b"\0GPS ");
    exif.extend(SECRETS[0].bytes());
    exif
}

fn xmp() -> Vec<u8> {
    format!("<x:xmpmeta xmlns:x='adobe:ns:meta/'>{} {}</x:xmpmeta>", SECRETS[0], SECRETS[1]).into_bytes()
}

fn comment() -> Vec<u8> {
    SECRETS[2].as_bytes().to_vec()
}

fn segment(marker: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let length = u16::try_from(contents.len() + 2).unwrap();
    [&[0xff, marker][..], &length.to_be_bytes(), &contents].concat()
}

fn riff(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap();
    let pad = &b"\0"[..data.len() % 2];
    [&kind[..], &length.to_le_bytes(), data, pad].concat()
}

/// The sample, with all that its format has room for.
fn planted(format: Format, orientation: u8) -> Vec<u8> {
    let bare = sample(format);
    let (exif, xmp, comment) = (exif(orientation), xmp(), comment());
    match format {
        Format::Jpeg => {
            let preview = sample(Format::Jpeg);
            [
                &bare[..2],
                &segment(0xe1, &[b"Exif\0\0", &exif]),
                &segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", &xmp]),
                &segment(0xed, &[b"Photoshop 3.0\0", &comment]),
                &segment(0xe2, &[b"MPF\0", &comment]),
                &segment(0xfe, &[&comment]),
                &bare[2..],
                &preview,
                &comment,
            ]
            .concat()
        }
        Format::Png => {
            // Behind IHDR, and before IEND.
            let (head, rest) = bare.split_at(33);
            let (data, end) = rest.split_at(rest.len() - 12);
            [
                head,
                &chunk(b"eXIf", &exif),
                &chunk(b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0", &xmp[..]].concat()),
                &chunk(b"tEXt", &[b"Comment\0", &comment[..]].concat()),
                data,
                &chunk(b"tIME", &[7, 230, 1, 1, 1, 1, 1]),
                &chunk(b"prIv", &comment),
                end,
                &comment,
            ]
            .concat()
        }
        Format::WebP => {
            let body = [
                &riff(b"VP8X", &[0x0c, 0, 0, 0, 63, 0, 0, 47, 0, 0])[..],
                &bare[12..],
                &riff(b"EXIF", &exif),
                &riff(b"XMP ", &xmp),
                &riff(b"note", &comment),
            ]
            .concat();
            let length = u32::try_from(body.len() + 4).unwrap();
            [&b"RIFF"[..], &length.to_le_bytes(), b"WEBP", &body, &comment].concat()
        }
        Format::Gif => {
            let colours = 13 + (3 << ((bare[10] & 7) + 1)) * usize::from(bare[10] >> 7);
            let length = [u8::try_from(comment.len()).unwrap()];
            let mut magic: Vec<u8> = vec![1];
            magic.extend((0..=255).rev());
            [
                &bare[..colours],
                b"\x21\xfe",
                &length,
                &comment,
                b"\0\x21\xff\x0bXMP DataXMP",
                &xmp,
                &magic,
                b"\0",
                &bare[colours..],
                &comment,
            ]
            .concat()
        }
    }
}

fn assert_bare(picture: &Picture) {
    for secret in SECRETS {
        for secret in [secret.as_bytes(), b"Exif\0\0MM", b"xmpmeta"] {
            let found = picture.bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{} still holds {}", picture.mime, secret.escape_ascii());
        }
    }
}

/// How viewers turn it.
fn orientation(bytes: &[u8]) -> Orientation {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().unwrap();
    reader.into_decoder().unwrap().orientation().unwrap()
}

#[test]
fn planted_metadata_goes_and_the_pixels_stay() {
    for format in FORMATS {
        let full = planted(format, 1);
        let picture = prepare(full.clone(), true).unwrap();
        assert!(picture.stripped, "{format}");
        assert_bare(&picture);
        assert_eq!(pixels(&picture.bytes), pixels(&full), "{format}");
        if format != Format::WebP {
            assert!(picture.bytes == sample(format), "{format}: nothing else has changed");
        }
    }
}

#[test]
fn what_was_stripped_has_nothing_more_to_strip() {
    for format in FORMATS {
        for turn in 1..=8 {
            let once = prepare(planted(format, turn), true).unwrap();
            let twice = prepare(once.bytes.clone(), true).unwrap();
            assert!(!twice.stripped && twice.bytes == once.bytes, "{format} {turn}");
        }
    }
}

#[test]
fn the_orientation_survives_and_the_thumbnail_is_turned() {
    for format in [Format::Jpeg, Format::Png, Format::WebP] {
        for turn in 1..=8 {
            let full = planted(format, turn);
            let picture = prepare(full.clone(), true).unwrap();
            assert_bare(&picture);
            assert_eq!(orientation(&picture.bytes).to_exif(), turn, "{format}");
            assert_eq!(pixels(&picture.bytes), pixels(&full));
            let mut shown = scene();
            shown.apply_orientation(Orientation::from_exif(turn).unwrap());
            assert_eq!((picture.width, picture.height), (shown.width(), shown.height()));
            let thumbnail = pixels(&picture.thumbnail.unwrap());
            assert!(difference(&thumbnail, &shown) < 12, "{format} {turn}");
        }
    }
}

#[test]
fn metadata_stays_where_the_sender_says_so() {
    for format in FORMATS {
        let full = planted(format, 6);
        let picture = prepare(full.clone(), false).unwrap();
        assert!(!picture.stripped && picture.bytes == full);
        if format != Format::Gif {
            assert_eq!((picture.width, picture.height), (48, 64));
        }
        let thumbnail = picture.thumbnail.unwrap();
        assert_bare(&Picture {
            bytes: thumbnail,
            mime: "thumbnail",
            ..prepare(sample(format), true).unwrap()
        });
    }
}

/// The mean difference of two pictures of one size, per colour.
fn difference(one: &DynamicImage, other: &DynamicImage) -> u64 {
    let (one, other) = (one.to_rgb8(), other.to_rgb8());
    assert_eq!(one.dimensions(), other.dimensions());
    let sum: u64 = one.iter().zip(other.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum / one.len() as u64
}
