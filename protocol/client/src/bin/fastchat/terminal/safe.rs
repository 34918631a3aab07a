//! Text from others, made safe for a terminal.
//!
//! What a terminal would obey rather than show becomes U+FFFD: control
//! characters (so that no escape sequence begins) and what reorders the text
//! around it (bidirectional embeddings, overrides and isolates). Letters of all
//! scripts and emoji stay as they are. In JSON the same characters are written
//! as `\u` escapes: the value is the same, and a terminal shows it as it is.

use std::fmt::Write;

const REPLACEMENT: char = '\u{fffd}';
const TAB: &str = "    ";

/// One line: breaks and tabs become spaces.
pub(crate) fn line(text: &str) -> String {
    let visible = |c| match c {
        '\n' | '\t' | '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' => ' ',
        c if is_obeyed(c) => REPLACEMENT,
        c => c,
    };
    text.chars().map(visible).collect()
}

/// Several lines: those after the first one begin with `indent`.
pub(crate) fn lines(text: &str, indent: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                safe.push('\n');
                safe.push_str(indent);
            }
            '\t' => safe.push_str(TAB),
            c if is_obeyed(c) => safe.push(REPLACEMENT),
            c => safe.push(c),
        }
    }
    safe
}

/// JSON text whose strings hold none of these characters as such.
pub(crate) fn json(text: String) -> String {
    if !text.chars().any(is_escaped) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) {
            // All of them are in the basic plane: four digits do. Writing to a string does not fail.
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

fn is_escaped(c: char) -> bool {
    is_obeyed(c) || matches!(c, '\u{2028}' | '\u{2029}')
}

fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_lose_their_power() {
        assert_eq!(line("\u{1b}[2Jgone\u{7}\u{9b}31m"), "\u{fffd}[2Jgone\u{fffd}\u{fffd}31m");
        assert_eq!(lines("\u{1b}]0;title\u{7}", ""), "\u{fffd}]0;title\u{fffd}");
    }

    #[test]
    fn text_can_not_be_turned_around() {
        assert_eq!(line("cat\u{202e}gnp.exe"), "cat\u{fffd}gnp.exe");
        assert_eq!(line("a\u{2067}b\u{2069}"), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn letters_of_all_scripts_and_emoji_stay() {
        for text in ["grüße", "שלום", "مرحبا\u{200c}", "👩\u{200d}💻", "日本語"] {
            assert_eq!(line(text), text);
            assert_eq!(lines(text, "  "), text);
        }
    }

    #[test]
    fn further_lines_are_indented() {
        assert_eq!(lines("a\nb\r\n\tc", "  "), "a\n  b\n      c");
        assert_eq!(line("a\nb\r\n\tc"), "a b   c");
    }

    #[test]
    fn a_lone_carriage_return_overwrites_nothing() {
        assert_eq!(lines("12:00 @bob\r12:00 @eve", "  "), "12:00 @bob\n  12:00 @eve");
    }

    #[test]
    fn in_json_the_value_stays_the_same() {
        let value = "\u{1b}[2J\u{9b}31m\u{202e}\u{2028}\u{7f}ü";
        let safe = json(serde_json::to_string(value).unwrap());
        assert_eq!(safe, "\"\\u001b[2J\\u009b31m\\u202e\\u2028\\u007fü\"");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), value);
    }

    proptest! {
        #[test]
        fn no_text_leaves_anything_that_a_terminal_obeys(text in any::<String>()) {
            prop_assert!(!line(&text).chars().any(is_obeyed));
            prop_assert!(!lines(&text, " ").chars().any(|c| is_obeyed(c) && c != '\n'));
        }
    }
}
