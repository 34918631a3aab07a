//! Pictures as a camera or a drawing program makes them.

use super::noise;
use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder};

/// Where a camera says that it was.
pub(super) const PLACE: &str = "47.376887N 8.541694E, at home";

const WIDTH: u32 = 96;
const HEIGHT: u32 = 64;

/// A picture without metadata; another `seed`, another picture. It looks like noise: nothing compresses it.
pub(super) fn png(seed: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = PngEncoder::new(&mut file);
    encoder
        .write_image(&pixels(seed), WIDTH, HEIGHT, ExtendedColorType::Rgb8)
        .expect("a picture");
    file
}

/// A photograph whose EXIF says where it was taken.
pub(super) fn jpeg_with_place(seed: u32) -> Vec<u8> {
    let mut file = Vec::new();
    JpegEncoder::new(&mut file)
        .encode(&pixels(seed), WIDTH, HEIGHT, ExtendedColorType::Rgb8)
        .expect("a picture");
    let exif = exif();
    let length = u16::try_from(2 + exif.len()).expect("a short segment").to_be_bytes();
    // Right behind the start-of-image marker.
    file.splice(2..2, [&[0xFF, 0xE1], &length[..], &exif].concat());
    file
}

/// A TIFF directory with a description, and a GPS directory with the same text.
fn exif() -> Vec<u8> {
    let text = [PLACE.as_bytes(), &[0]].concat();
    let length = u32::try_from(text.len()).expect("a short text");
    let (first, gps, description) = (8, 38, 56);
    let ascii = |tag: u16, at: u32| {
        [
            &tag.to_le_bytes()[..],
            &2u16.to_le_bytes(),
            &length.to_le_bytes(),
            &at.to_le_bytes(),
        ]
        .concat()
    };
    let long = |tag: u16, value: u32| {
        [
            &tag.to_le_bytes()[..],
            &4u16.to_le_bytes(),
            &1u32.to_le_bytes(),
            &value.to_le_bytes(),
        ]
        .concat()
    };
    let end = 0u32.to_le_bytes();
    [
        &b"Exif\0\0II*\0"[..],
        &u32::to_le_bytes(first),
        &2u16.to_le_bytes(),
        &ascii(0x010E, description),
        &long(0x8825, gps),
        &end,
        &1u16.to_le_bytes(),
        &ascii(0x0012, description),
        &end,
        &text,
    ]
    .concat()
}

fn pixels(seed: u32) -> Vec<u8> {
    noise((WIDTH * HEIGHT * 3) as usize, seed)
}

#[test]
fn the_pictures_are_pictures_and_the_photograph_says_where_it_was_taken() {
    let of = |file: &[u8]| image::load_from_memory(file).expect("a picture").to_rgb8();
    assert_eq!(of(&png(7)).as_raw(), &pixels(7));
    assert_ne!(png(7), png(9));
    let photograph = jpeg_with_place(7);
    assert_eq!(of(&photograph).dimensions(), (WIDTH, HEIGHT));
    let decoder = image::ImageReader::new(std::io::Cursor::new(&photograph))
        .with_guessed_format()
        .unwrap();
    let exif = image::ImageDecoder::exif_metadata(&mut decoder.into_decoder().unwrap()).unwrap();
    assert!(exif.expect("EXIF").windows(PLACE.len()).any(|window| window == PLACE.as_bytes()));
}
