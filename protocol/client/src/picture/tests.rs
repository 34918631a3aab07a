//! Pictures as people send them, and as they should not be.

mod planted;
mod properties;
mod samples;

use super::*;
use fastchat_e2e::content::THUMBNAIL_BYTES_MAX;
use image::{DynamicImage, GenericImageView, ImageReader, Rgba, RgbaImage};
use samples::{FORMATS, sample};
use std::io::Cursor;

fn pixels(bytes: &[u8]) -> DynamicImage {
    ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .unwrap()
        .decode()
        .unwrap()
}

#[test]
fn a_picture_without_metadata_comes_back_as_it_went_in() {
    for format in FORMATS {
        let bytes = sample(format);
        assert_eq!(examine(&bytes), Some(format));
        for strip in [true, false] {
            let picture = prepare(bytes.clone(), strip).unwrap();
            assert!(!picture.stripped && picture.bytes == bytes, "{format}");
            assert_eq!((picture.width, picture.height), (64, 48));
            assert_eq!(picture.mime, format.mime());
        }
    }
}

#[test]
fn what_is_no_picture_is_told_apart_from_a_broken_one() {
    for bytes in [&b""[..], b"hello", b"RIFF\0\0\0\0WAVE", b"%PDF-1.7"] {
        assert!(matches!(prepare(bytes.to_vec(), true), Err(NotAPicture::Unknown)));
    }
    for format in FORMATS {
        let whole = sample(format);
        let half = whole[..whole.len() / 2].to_vec();
        let error = prepare(half, true).unwrap_err();
        let expected = Broken::CutShort;
        assert!(
            matches!(error, NotAPicture::Broken { format: of, broken } if of == format && broken == expected),
            "{error:?}"
        );
        assert!(error.to_string().contains("cut short"), "{error}");
    }
    let mut png = sample(Format::Png);
    let middle = png.len() / 2;
    png[middle] ^= 0xff;
    let error = prepare(png, true).unwrap_err();
    assert!(matches!(error, NotAPicture::Undecodable { .. }), "{error:?}");
}

#[test]
fn a_bomb_is_refused_before_it_takes_room() {
    for strip in [true, false] {
        for (width, height) in [(100_000, 100_000), (100_000, 1), (30_000, 30_000), (u32::MAX, u32::MAX)] {
            let error = prepare(samples::png_of_size(width, height), strip).unwrap_err();
            assert!(
                matches!(error, NotAPicture::TooLarge | NotAPicture::Undecodable { .. }),
                "{width} {height} {error:?}"
            );
        }
        let error = prepare(samples::png_of_size(100_000, 100_000), strip).unwrap_err();
        assert!(error.to_string().contains("Make it smaller"), "{error}");
        let error = prepare(samples::gif_of_size(u16::MAX, u16::MAX), strip).unwrap_err();
        assert!(matches!(error, NotAPicture::TooLarge), "{error:?}");
    }
}

#[test]
fn a_thumbnail_is_small_and_keeps_the_shape() {
    let noise = RgbaImage::from_fn(1_200, 900, |x, y| {
        let n = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(2_246_822_519);
        let [a, b, c, _] = n.to_be_bytes();
        Rgba([a, b, c, 255])
    });
    let picture = prepare(samples::png(&noise.into()), true).unwrap();
    let thumbnail = picture.thumbnail.unwrap();
    assert!(thumbnail.len() <= THUMBNAIL_BYTES_MAX);
    assert_eq!(examine(&thumbnail), Some(Format::Jpeg));
    let (width, height) = pixels(&thumbnail).dimensions();
    assert!(width <= 320 && width * 3 / 4 == height, "{width} {height}");
}

#[test]
fn a_thumbnail_of_a_plain_picture_has_the_full_side_and_a_small_one_is_not_enlarged() {
    for (side, expected) in [(1_000, 320), (40, 40), (1, 1)] {
        let plain = RgbaImage::from_pixel(side, side, Rgba([10, 200, 30, 255]));
        let thumbnail = prepare(samples::png(&plain.into()), true).unwrap().thumbnail.unwrap();
        assert_eq!(pixels(&thumbnail).dimensions(), (expected, expected));
    }
    let line = RgbaImage::from_pixel(20_000, 1, Rgba([1, 2, 3, 255]));
    let thumbnail = prepare(samples::png(&line.into()), true).unwrap().thumbnail.unwrap();
    assert_eq!(pixels(&thumbnail).dimensions(), (320, 1));
}

#[test]
fn what_is_transparent_is_white_in_the_thumbnail() {
    let clear = RgbaImage::from_fn(400, 400, |x, _| if x < 200 { Rgba([0, 0, 0, 0]) } else { Rgba([0, 0, 0, 255]) });
    let thumbnail = pixels(&prepare(samples::png(&clear.into()), true).unwrap().thumbnail.unwrap()).into_rgb8();
    assert!(thumbnail.get_pixel(20, 100).0.iter().all(|colour| *colour > 245));
    assert!(thumbnail.get_pixel(300, 100).0.iter().all(|colour| *colour < 10));
}

#[test]
fn debug_shows_no_pixels() {
    let shown = format!("{:?}", prepare(sample(Format::Png), true).unwrap());
    assert!(shown.len() < 200, "{shown}");
}
