//! Usernames: 1 to 32 of `a-z 0-9 . _ -`, starting with a letter or digit.

use crate::limits::USERNAME_CHARS_MAX;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use std::{fmt, str::FromStr};

/// A username, lower-cased.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Username(String);

/// Why a text is no username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a username is 1 to 32 of a-z 0-9 . _ - and starts with a letter or digit")]
pub struct InvalidUsername;

impl Username {
    /// The lower-cased name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = InvalidUsername;

    fn from_str(text: &str) -> Result<Self, InvalidUsername> {
        let name = text.to_ascii_lowercase();
        let starts = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let shape = name.len() <= USERNAME_CHARS_MAX
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
        if starts && shape { Ok(Self(name)) } else { Err(InvalidUsername) }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Username {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_cased_and_bounded() {
        assert_eq!("Alice.B-2_x".parse::<Username>().unwrap().as_str(), "alice.b-2_x");
        assert!("a".repeat(USERNAME_CHARS_MAX).parse::<Username>().is_ok());
        for bad in [
            String::new(),
            "a".repeat(USERNAME_CHARS_MAX + 1),
            ".a".into(),
            "_a".into(),
            "a b".into(),
            "ä".into(),
            "@a".into(),
        ] {
            assert_eq!(bad.parse::<Username>(), Err(InvalidUsername), "{bad}");
        }
    }
}
