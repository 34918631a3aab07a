//! Whatever the bytes: an answer, never a panic.

use super::{
    pixels,
    samples::{FORMATS, sample},
};
use crate::picture::{Format, examine, prepare};
use proptest::prelude::*;
use std::sync::LazyLock;

static SAMPLES: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| FORMATS.map(sample));
const STARTS: [&[u8]; 5] = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0",
    b"GIF89a",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn arbitrary_bytes_never_panic(start in 0..STARTS.len(), rest in prop::collection::vec(any::<u8>(), 0..2_000), strip: bool) {
        let bytes = [STARTS[start], &rest].concat();
        let _ = examine(&bytes);
        let _ = prepare(bytes, strip);
    }

    #[test]
    fn a_truncated_picture_is_never_taken_for_a_whole_one(which in 0..4_usize, at in any::<prop::sample::Index>()) {
        let whole = &SAMPLES[which];
        // A GIF may do without its last byte, the trailer.
        let least = usize::from(FORMATS[which] == Format::Gif);
        let short = whole[..at.index(whole.len() - least)].to_vec();
        let _ = prepare(short.clone(), false);
        prop_assert!(prepare(short, true).is_err());
    }

    #[test]
    fn a_damaged_picture_never_panics_and_stripping_is_final(
        which in 0..4_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = SAMPLES[which].clone();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(picture) = prepare(bytes, true) {
            let again = prepare(picture.bytes.clone(), true).unwrap();
            prop_assert!(!again.stripped && again.bytes == picture.bytes);
        }
    }

    #[test]
    fn what_follows_the_end_goes_and_nothing_else(which in 0..4_usize, behind in prop::collection::vec(any::<u8>(), 1..500)) {
        let bare = &SAMPLES[which];
        let picture = prepare([&bare[..], &behind].concat(), true).unwrap();
        prop_assert!(picture.stripped && picture.bytes == *bare);
    }

    #[test]
    fn segments_of_any_kind_leave_a_jpegs_pixels_alone(
        marker in 0xe0..=0xfe_u8,
        contents in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let bare = sample(Format::Jpeg);
        let length = u16::try_from(contents.len() + 2).unwrap();
        let full = [&bare[..2], &[0xff, marker], &length.to_be_bytes(), &contents, &bare[2..]].concat();
        let picture = prepare(full, true).unwrap();
        prop_assert_eq!(pixels(&picture.bytes), pixels(&bare));
    }
}
