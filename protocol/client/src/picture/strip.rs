//! Metadata goes out of a picture's bytes; nothing is encoded again.
//!
//! Each format has a walker that copies what showing the picture needs, and nothing else: what it does not know it
//! leaves out. So a picture without metadata comes out as the very bytes that went in.
//!
//! `img-parts` makes PNG's checksum, but does not walk: it passes on whatever follows a JPEG's first scan, it refuses a
//! PNG for a wrong checksum of a text, and neither it nor any other library does this for GIF.
//!
//! | format | stays | goes |
//! | --- | --- | --- |
//! | JPEG | tables, frames and scans, JFIF (without its thumbnail), ICC profile, Adobe's colour transform | EXIF, XMP, IPTC, comments, previews, other images, what follows the end |
//! | PNG | critical chunks, colour, transparency, density, animation | EXIF, texts, time, everything unknown, what follows the end |
//! | WebP | image, alpha, animation, ICC profile | EXIF, XMP, everything unknown, what follows the end |
//! | GIF | images and their control, loop count | comments, plain text, XMP and other applications' data, what follows the end |
//!
//! Of EXIF one tag stays where it turns the picture: its orientation, in a block of its own. An orientation that only
//! XMP tells goes: viewers don't follow it.

mod exif;
mod gif;
mod jpeg;
mod png;
mod reader;
mod webp;

use super::Format;
pub(super) use png::SIGNATURE as PNG_SIGNATURE;

/// What is wrong with a picture's structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The end comes too early.
    #[error("it is cut short")]
    CutShort,
    /// It has a part that its format doesn't know.
    #[error("it has an unreadable part at byte {0}")]
    Unreadable(usize),
}

/// The picture without its metadata.
///
/// # Errors
/// Its structure is broken.
pub(super) fn strip(format: Format, bytes: &[u8]) -> Result<Vec<u8>, Broken> {
    match format {
        Format::Jpeg => jpeg::strip(bytes),
        Format::Png => png::strip(bytes),
        Format::WebP => webp::strip(bytes),
        Format::Gif => gif::strip(bytes),
    }
}
