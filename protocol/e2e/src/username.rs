//! Usernames as they are signed and sealed: the one form in which they exist.
//!
//! People may type upper case; a client lower-cases before it comes here. What
//! is signed must have one form, so this type takes no other.

use std::{fmt, str::FromStr};

/// Longest username, in characters (all of them ASCII).
pub const USERNAME_CHARS_MAX: usize = 32;

/// A username: 1 to 32 of `a-z 0-9 . _ -`, starting with a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Username(String);

/// The text is no username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a username is 1 to 32 of a-z 0-9 . _ - and starts with a letter or digit")]
pub struct InvalidUsername;

impl Username {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = InvalidUsername;

    fn from_str(text: &str) -> Result<Self, InvalidUsername> {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let starts = text.bytes().next().is_some_and(letter);
        let shape = text.len() <= USERNAME_CHARS_MAX && text.bytes().all(|b| letter(b) || b"._-".contains(&b));
        if starts && shape {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidUsername)
        }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_has_one_form_only() {
        assert_eq!("alice.b-2_x".parse::<Username>().unwrap().as_str(), "alice.b-2_x");
        for bad in ["", "Alice", ".a", "_a", "a b", "ä", "@a", &"a".repeat(USERNAME_CHARS_MAX + 1)] {
            assert_eq!(bad.parse::<Username>(), Err(InvalidUsername), "{bad}");
        }
    }
}
