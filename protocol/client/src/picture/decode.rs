//! Bytes to pixels, within bounds: what would not fit is refused before any room is made for it.

use super::{Format, NotAPicture};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, metadata::Orientation};
use std::io::Cursor;

/// Most pixels on one side.
pub(super) const SIDE_MAX: u32 = 32_768;
/// Most bytes of pixels: 178 megapixels of a photo, 134 with transparency.
pub(super) const BYTES_MAX: u64 = 512 << 20;

/// The pixels as they are stored, and how to turn them.
pub(super) struct Decoded {
    pub(super) pixels: DynamicImage,
    pub(super) orientation: Orientation,
}

impl Decoded {
    /// Width and height after the turn.
    pub(super) fn shown(&self) -> (u32, u32) {
        let (width, height) = (self.pixels.width(), self.pixels.height());
        match self.orientation {
            Orientation::NoTransforms | Orientation::Rotate180 | Orientation::FlipHorizontal | Orientation::FlipVertical => (width, height),
            Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH => (height, width),
        }
    }
}

/// Decodes all of it; of an animation, the first frame.
pub(super) fn decode(format: Format, bytes: &[u8]) -> Result<Decoded, NotAPicture> {
    read(format, bytes).map_err(|error| match error {
        ImageError::Limits(_) => NotAPicture::TooLarge,
        source => NotAPicture::Undecodable { format, source },
    })
}

fn read(format: Format, bytes: &[u8]) -> Result<Decoded, ImageError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(BYTES_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), image_format(format));
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    // The decoder's limits don't count the pixels that come out of it.
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation()?;
    let pixels = DynamicImage::from_decoder(decoder)?;
    Ok(Decoded { pixels, orientation })
}

fn image_format(format: Format) -> ImageFormat {
    match format {
        Format::Png => ImageFormat::Png,
        Format::Jpeg => ImageFormat::Jpeg,
        Format::WebP => ImageFormat::WebP,
        Format::Gif => ImageFormat::Gif,
    }
}
