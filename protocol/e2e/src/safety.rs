//! Safety numbers: sixty digits that two people compare over another channel.
//!
//! ```text
//!  digest_0 = "fastchat safety v1" ‖ identity 32 B ‖ username        for each of the two
//!  digest_n = SHA-512(digest_{n-1})                                  n = 1 … 5,200
//!  groups   = six times 5 bytes of digest_5200, big-endian, mod 100,000
//!  number   = the groups of the lower identity, then those of the other: 60 digits
//! ```
//!
//! Both compute it from what their own device believes. The same digits on both
//! sides mean that nobody stands between them; another identity, or another
//! name, gives other digits. The iterations make it dear to search for a key
//! whose digits look alike.

use crate::{identity::IdentityPublicKey, username::Username};
use sha2::{Digest, Sha512};
use std::{fmt, str::FromStr};

const LABEL: &[u8] = b"fastchat safety v1";
const ITERATIONS: u32 = 5_200;
/// Groups of digits for each of the two.
const GROUPS_EACH: usize = 6;
const GROUP_BYTES: usize = 5;
const GROUP_DIGITS: usize = 5;

/// Digits of a safety number.
pub const SAFETY_DIGITS: usize = 2 * GROUPS_EACH * GROUP_DIGITS;

/// The safety number of two accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SafetyNumber([u32; 2 * GROUPS_EACH]);

/// The text is no safety number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a safety number has 60 digits: paste all twelve groups of five")]
pub struct InvalidSafetyNumber;

impl SafetyNumber {
    /// The number of two accounts, each by its identity and its name. The order does not matter.
    #[must_use]
    pub fn of(one: (&IdentityPublicKey, &Username), other: (&IdentityPublicKey, &Username)) -> Self {
        let (lower, higher) = if (one.0, one.1) <= (other.0, other.1) {
            (one, other)
        } else {
            (other, one)
        };
        let (lower, higher) = (groups(lower.0, lower.1), groups(higher.0, higher.1));
        Self(std::array::from_fn(|i| {
            if i < GROUPS_EACH { lower[i] } else { higher[i - GROUPS_EACH] }
        }))
    }

    /// All digits without a space, as a QR code carries them.
    #[must_use]
    pub fn digits(&self) -> String {
        self.0.iter().map(|group| format!("{group:0GROUP_DIGITS$}")).collect()
    }

    /// The twelve groups of five digits.
    #[must_use]
    pub fn groups(&self) -> [String; 2 * GROUPS_EACH] {
        self.0.map(|group| format!("{group:0GROUP_DIGITS$}"))
    }
}

fn groups(identity: &IdentityPublicKey, username: &Username) -> [u32; GROUPS_EACH] {
    let mut digest = Sha512::new()
        .chain_update(LABEL)
        .chain_update(identity.as_bytes())
        .chain_update(username.as_str())
        .finalize();
    for _ in 1..ITERATIONS {
        digest = Sha512::digest(digest);
    }
    std::array::from_fn(|i| {
        let bytes = &digest[i * GROUP_BYTES..(i + 1) * GROUP_BYTES];
        let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        (number % 100_000) as u32
    })
}

/// Groups with a space between them.
impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.groups().join(" "))
    }
}

/// Digits as people paste them: spaces, line breaks and hyphens do not matter.
impl FromStr for SafetyNumber {
    type Err = InvalidSafetyNumber;

    fn from_str(text: &str) -> Result<Self, InvalidSafetyNumber> {
        let mut digits = Vec::with_capacity(SAFETY_DIGITS);
        for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            digits.push(c.to_digit(10).ok_or(InvalidSafetyNumber)?);
        }
        if digits.len() != SAFETY_DIGITS {
            return Err(InvalidSafetyNumber);
        }
        let group = |i: usize| {
            digits[i * GROUP_DIGITS..(i + 1) * GROUP_DIGITS]
                .iter()
                .fold(0, |group, digit| group * 10 + digit)
        };
        Ok(Self(std::array::from_fn(group)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(key: u8, name: &str) -> (IdentityPublicKey, Username) {
        (IdentityPublicKey([key; 32]), name.parse().unwrap())
    }

    fn number(one: &(IdentityPublicKey, Username), other: &(IdentityPublicKey, Username)) -> SafetyNumber {
        SafetyNumber::of((&one.0, &one.1), (&other.0, &other.1))
    }

    #[test]
    fn both_sides_see_the_same_digits_and_nobody_else_does() {
        let (alice, bob) = (side(1, "alice"), side(2, "bob"));
        let shared = number(&alice, &bob);
        assert_eq!(shared, number(&bob, &alice));
        for other in [side(3, "bob"), side(2, "bobby")] {
            assert_ne!(number(&alice, &other), shared);
        }
    }

    #[test]
    fn it_is_read_as_it_is_shown_and_as_people_paste_it() {
        let shown = number(&side(1, "alice"), &side(2, "bob"));
        let text = shown.to_string();
        assert_eq!((shown.digits().len(), text.split(' ').count()), (SAFETY_DIGITS, 12));
        for pasted in [
            text.clone(),
            shown.digits(),
            text.replace(' ', "-"),
            format!(" {}\n", text.replace(' ', "\n")),
        ] {
            assert_eq!(pasted.parse(), Ok(shown));
        }
    }

    #[test]
    fn a_digit_too_few_or_too_many_and_what_is_no_digit_are_refused() {
        for bad in [
            String::new(),
            "1".repeat(59),
            "1".repeat(61),
            format!("{}x", "1".repeat(59)),
            "٣".repeat(60),
        ] {
            assert_eq!(bad.parse::<SafetyNumber>(), Err(InvalidSafetyNumber), "{bad}");
        }
    }
}
