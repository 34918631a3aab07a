//! Pictures without metadata, of each format.

use crate::picture::Format;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, Rgb, RgbImage, codecs::webp::WebPEncoder};
use img_parts::png::PngChunk;
use std::io::Cursor;

pub(super) const FORMATS: [Format; 4] = [Format::Png, Format::Jpeg, Format::WebP, Format::Gif];

/// 64 × 48 pixels that no two turns make equal.
pub(super) fn scene() -> DynamicImage {
    RgbImage::from_fn(64, 48, |x, y| {
        let [x, y] = [x, y].map(|n| u8::try_from(n).unwrap());
        Rgb([x * 3, y * 5, (x / 8 + y / 8) * 10])
    })
    .into()
}

pub(super) fn sample(format: Format) -> Vec<u8> {
    let scene = scene();
    match format {
        Format::Png => png(&scene),
        Format::Jpeg => encoded(&scene, ImageFormat::Jpeg),
        Format::Gif => encoded(&scene, ImageFormat::Gif),
        Format::WebP => {
            let mut webp = Vec::new();
            WebPEncoder::new_lossless(&mut webp)
                .write_image(scene.as_bytes(), 64, 48, ExtendedColorType::Rgb8)
                .unwrap();
            webp
        }
    }
}

pub(super) fn png(image: &DynamicImage) -> Vec<u8> {
    encoded(image, ImageFormat::Png)
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(super) fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    PngChunk::new(*kind, data.to_vec().into()).encoder().bytes().to_vec()
}

/// A PNG whose header claims so many pixels.
pub(super) fn png_of_size(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(chunk(b"IHDR", &header));
    png.extend(chunk(b"IDAT", b"\x78\x9c\x03\0\0\0\0\x01"));
    png.extend(chunk(b"IEND", b""));
    png
}

/// A GIF whose header claims so many pixels.
pub(super) fn gif_of_size(width: u16, height: u16) -> Vec<u8> {
    let mut gif = b"GIF89a".to_vec();
    gif.extend(width.to_le_bytes());
    gif.extend(height.to_le_bytes());
    gif.extend(b"\x80\0\0rgbrgb\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b");
    gif
}
