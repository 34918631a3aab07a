//! Of EXIF, the orientation alone.

use image::metadata::Orientation;

/// What stands before the TIFF data in JPEG, and in WebP of some writers.
pub(super) const PREFIX: &[u8] = b"Exif\0\0";
/// Where the orientation stands in [`TURNED`].
const VALUE_AT: usize = 18;
/// TIFF, little-endian: one directory with one entry, the orientation (tag 0x0112, one `SHORT`).
const TURNED: &[u8; 26] = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0";

/// EXIF that says how the picture is turned and nothing else, in the form that it came in; `None` where it isn't turned.
pub(super) fn orientation_only(exif: &[u8]) -> Option<Vec<u8>> {
    let (prefix, tiff) = exif.split_at(if exif.starts_with(PREFIX) { PREFIX.len() } else { 0 });
    match Orientation::from_exif_chunk(tiff)? {
        Orientation::NoTransforms => None,
        turned => {
            let mut only = [prefix, TURNED].concat();
            only[prefix.len() + VALUE_AT] = turned.to_exif();
            Some(only)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turn_is_kept_and_kept_again_as_it_is() {
        for value in 2..=8 {
            for prefix in [PREFIX, b""] {
                let mut exif = [prefix, &TURNED[..]].concat();
                exif[prefix.len() + VALUE_AT] = value;
                let only = orientation_only(&exif).unwrap();
                assert_eq!(only, exif);
                let read = Orientation::from_exif_chunk(&only[prefix.len()..]).unwrap();
                assert_eq!(read.to_exif(), value);
            }
        }
    }

    #[test]
    fn what_turns_nothing_is_not_kept() {
        let mut upright = *TURNED;
        for value in [0, 1, 9] {
            upright[VALUE_AT] = value;
            assert_eq!(orientation_only(&upright), None);
        }
        for exif in [&b""[..], b"Exif\0\0", b"II*\0", b"II*\0\xff\xff\xff\xff", &TURNED[..20]] {
            assert_eq!(orientation_only(exif), None, "{exif:?}");
        }
    }
}
