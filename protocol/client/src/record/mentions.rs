//! Whom a text names: `@bob`.

use fastchat_e2e::Username;

/// The usernames that a text names, in its order. One begins with an `@` that no letter, digit or other character of a
/// name stands before, so that an address of electronic mail names nobody.
pub(crate) fn mentions(text: &str) -> impl Iterator<Item = Username> {
    text.match_indices('@').filter_map(|(at, _)| {
        let is_within = text[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || "@._-".contains(c));
        let end = text[at + 1..].find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
        let name = end.map_or(&text[at + 1..], |end| &text[at + 1..][..end]);
        // What ends a sentence is part of no name, though a name may end so: nobody means it.
        let name = name.trim_end_matches(['.', '-']);
        let parsed = name.to_ascii_lowercase().parse().ok();
        parsed.filter(|_| !is_within)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<String> {
        mentions(text).map(|name| name.to_string()).collect()
    }

    #[test]
    fn names_are_found_between_other_words_and_at_the_end_of_sentences() {
        assert_eq!(named("@bob, ask @Carol-2. Or (@d.e)?"), ["bob", "carol-2", "d.e"]);
        assert_eq!(named("@bob@carol"), ["bob"]);
        assert_eq!(named("Grüße@bob, ¡@bob!"), ["bob"]);
    }

    #[test]
    fn an_address_and_a_lone_sign_name_nobody() {
        for text in ["bob@example.org", "@", "@ bob", "@@bob", "@-", &format!("@{}", "x".repeat(33))] {
            assert_eq!(named(text), [""; 0], "{text}");
        }
    }
}
