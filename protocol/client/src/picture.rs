//! Pictures before they are sealed: checked, without metadata, with a thumbnail.
//!
//! ```text
//!  bytes ── examine ──> Format ── strip ──> bytes ── decode ──> pixels ── thumbnail ──> JPEG
//!               │                    │                  │
//!               └── none of ours     └── cut short      └── broken, or a bomb ──> NotAPicture
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | `strip` | metadata goes, byte by byte; nothing is encoded again |
//! | `decode` | bytes to pixels, within bounds |
//! | `thumbnail` | pixels to a small JPEG |
//!
//! All of it is pure and takes its time: call it where blocking is allowed.

mod decode;
mod strip;
#[cfg(test)]
mod tests;
mod thumbnail;

pub use strip::Broken;

use std::fmt;

/// The formats that are taken for pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// PNG, animated ones too.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP, animated ones too.
    WebP,
    /// GIF.
    Gif,
}

impl Format {
    /// Its media type.
    #[must_use]
    pub fn mime(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
        })
    }
}

/// A picture that is ready to be sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// What is sent: the very bytes that came, where nothing had to go.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub mime: &'static str,
    /// In pixels, as it is shown: turned as its orientation says.
    pub width: u32,
    /// In pixels, as it is shown: turned as its orientation says.
    pub height: u32,
    /// A JPEG of at most [`fastchat_e2e::content::THUMBNAIL_BYTES_MAX`] bytes, turned; of an animation, the first frame.
    /// `None` where no size is small enough.
    pub thumbnail: Option<Vec<u8>>,
    /// Something was taken out of the bytes.
    pub stripped: bool,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture")
            .field("bytes", &self.bytes.len())
            .field("mime", &self.mime)
            .field("width", &self.width)
            .field("height", &self.height)
            .field("thumbnail", &self.thumbnail.as_ref().map(Vec::len))
            .field("stripped", &self.stripped)
            .finish()
    }
}

/// Why bytes can't be sent as a picture.
#[derive(Debug, thiserror::Error)]
pub enum NotAPicture {
    /// Nothing at its start says what it is.
    #[error("it is none of PNG, JPEG, WebP and GIF: send it as another file, or convert it first")]
    Unknown,
    /// Its metadata can't be found, because its structure is broken.
    #[error("it is no whole {format}: {broken}. Open it in an image editor and save it again")]
    Broken {
        /// What it begins as.
        format: Format,
        /// What is wrong.
        #[source]
        broken: Broken,
    },
    /// It does not decode.
    #[error("it can't be decoded as {format}: {source}. Open it in an image editor and save it again")]
    Undecodable {
        /// What it begins as.
        format: Format,
        /// What its decoder says.
        source: image::ImageError,
    },
    /// Beyond the bounds within which a picture is decoded.
    #[error(
        "it has too many pixels: at most {} on a side and {} MiB decoded. Make it smaller",
        decode::SIDE_MAX,
        decode::BYTES_MAX >> 20
    )]
    TooLarge,
}

/// What the first bytes say.
#[must_use]
pub fn examine(bytes: &[u8]) -> Option<Format> {
    if bytes.starts_with(strip::PNG_SIGNATURE) {
        Some(Format::Png)
    } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        Some(Format::Jpeg)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some(Format::WebP)
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        Some(Format::Gif)
    } else {
        None
    }
}

/// Checks a picture, takes its metadata out where `strip` says so, and makes a thumbnail.
///
/// With `strip`, a picture without metadata comes back as the very bytes that went in.
/// Without, any that decodes does.
///
/// # Errors
/// It is no picture, a broken one, or one with too many pixels.
pub fn prepare(bytes: Vec<u8>, strip: bool) -> Result<Picture, NotAPicture> {
    let format = examine(&bytes).ok_or(NotAPicture::Unknown)?;
    let kept = if strip {
        let bare = strip::strip(format, &bytes).map_err(|broken| NotAPicture::Broken { format, broken })?;
        (bare != bytes).then_some(bare)
    } else {
        None
    };
    let stripped = kept.is_some();
    let bytes = kept.unwrap_or(bytes);
    let decoded = decode::decode(format, &bytes)?;
    let (width, height) = decoded.shown();
    Ok(Picture {
        bytes,
        mime: format.mime(),
        width,
        height,
        thumbnail: thumbnail::thumbnail(decoded),
        stripped,
    })
}
