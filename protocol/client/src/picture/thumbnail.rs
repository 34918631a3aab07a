//! Pixels to a small JPEG.

use super::decode::Decoded;
use fastchat_e2e::content::THUMBNAIL_BYTES_MAX;
use image::{DynamicImage, RgbImage, codecs::jpeg::JpegEncoder};

/// Longest sides in pixels, and qualities (1 to 100): the first that fits is taken.
const LADDER: [(u32, u8); 9] = [
    (320, 80),
    (320, 65),
    (320, 50),
    (240, 65),
    (240, 45),
    (160, 60),
    (160, 40),
    (96, 50),
    (64, 30),
];

/// A thumbnail as the picture is shown: turned, on white. `None` where none is small enough.
pub(super) fn thumbnail(decoded: Decoded) -> Option<Vec<u8>> {
    let Decoded { pixels, orientation } = decoded;
    let mut largest = shrunk(&on_white(pixels), LADDER[0].0);
    largest.apply_orientation(orientation);
    LADDER.into_iter().find_map(|(side, quality)| {
        let jpeg = encoded(&shrunk(&largest, side).into_rgb8(), quality)?;
        (jpeg.len() <= THUMBNAIL_BYTES_MAX).then_some(jpeg)
    })
}

/// Smaller, never larger.
fn shrunk(image: &DynamicImage, side: u32) -> DynamicImage {
    if image.width() <= side && image.height() <= side {
        image.clone()
    } else {
        image.thumbnail(side, side)
    }
}

/// Without transparency; before it is made smaller, so that the colours of invisible pixels don't show at edges.
fn on_white(image: DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return image;
    }
    let mut image = image.into_rgba8();
    for pixel in image.pixels_mut() {
        let [red, green, blue, alpha] = pixel.0;
        let over = |colour: u8| {
            let sum = u32::from(colour) * u32::from(alpha) + 255 * u32::from(255 - alpha);
            #[expect(clippy::cast_possible_truncation, reason = "a mean of two bytes")]
            let mean = ((sum + 127) / 255) as u8;
            mean
        };
        pixel.0 = [over(red), over(green), over(blue), 255];
    }
    image.into()
}

fn encoded(image: &RgbImage, quality: u8) -> Option<Vec<u8>> {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, quality).encode_image(image).ok()?;
    Some(jpeg)
}
