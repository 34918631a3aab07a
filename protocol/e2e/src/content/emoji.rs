//! What a reaction may be.

use unicode_segmentation::UnicodeSegmentation;

/// Longest reaction in bytes. A family of four has 25, a flag of a region 28.
pub const EMOJI_BYTES_MAX: usize = 64;

/// True for one character as people see it (an extended grapheme cluster), which is not white space and controls no
/// terminal, of at most [`EMOJI_BYTES_MAX`].
#[must_use]
pub fn is_emoji(text: &str) -> bool {
    let mut clusters = text.graphemes(true);
    let is_one = clusters.next().is_some() && clusters.next().is_none();
    is_one && text.len() <= EMOJI_BYTES_MAX && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_character_as_people_see_it_is_a_reaction() {
        for text in ["👍", "👍🏽", "👨‍👩‍👧‍👦", "🇨🇭", "❤️", "1️⃣", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "+", "é"]
        {
            assert!(is_emoji(text), "{text}");
        }
        for text in ["", " ", "👍👍", "ok", "\n", "\u{1b}", "\r\n", "👍 "] {
            assert!(!is_emoji(text), "{text:?}");
        }
    }

    #[test]
    fn a_reaction_at_its_limit_is_one_and_beyond_it_none() {
        // A letter of two bytes and marks of two bytes each, which people see as one character.
        let marked = |marks| format!("ä{}", "\u{301}".repeat(marks));
        let longest = marked(EMOJI_BYTES_MAX / 2 - 1);
        assert_eq!(longest.len(), EMOJI_BYTES_MAX);
        assert!(is_emoji(&longest));
        assert!(!is_emoji(&marked(EMOJI_BYTES_MAX / 2)));
    }
}
