//! How a person names a member of a group: by name, or by the account's id where a name is not enough.
//!
//! What somebody calls themselves in a group is their own word. So two members may go by one name, or one by the name
//! of somebody who is not in: then the id says who is meant.

use super::{Person, bare_username, find::ID_CHARS_MIN, short};
use crate::problem::Problem;
use fastchat_e2e::{AccountId, Username};
use std::{fmt, str::FromStr};

/// A whole id has so many characters: more than any username.
const ID_CHARS: usize = 36;

/// Who is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Whom {
    /// Whoever this device knows, or the fleet, by that name.
    Name(Username),
    /// Whoever goes by that name in the group and has an account's id with this end, in lower case: `@bob/6f2ac4d1e0b3`.
    One(Username, String),
    /// By the account's whole id.
    Account(AccountId),
}

impl Whom {
    /// Whether a member is meant, by what stands in the group.
    pub(crate) fn is(&self, member: &Person) -> bool {
        let is_called = |name: &Username| member.username.as_ref() == Some(name);
        match self {
            Self::Name(name) => is_called(name),
            Self::One(name, end) => is_called(name) && member.account.to_string().ends_with(end.as_str()),
            Self::Account(account) => member.account == *account,
        }
    }

    /// A member by name and the end of the id, as people write it.
    #[must_use]
    pub fn exactly(member: &Person) -> Self {
        match &member.username {
            Some(name) => Self::One(name.clone(), short(&member.account.to_string()).to_owned()),
            None => Self::Account(member.account),
        }
    }

    /// For programs: the name, or the id where no name was said.
    #[must_use]
    pub fn bare(&self) -> String {
        match self {
            Self::Name(name) | Self::One(name, _) => name.to_string(),
            Self::Account(account) => account.to_string(),
        }
    }
}

impl From<Username> for Whom {
    fn from(name: Username) -> Self {
        Self::Name(name)
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "@{name}"),
            Self::One(name, end) => write!(f, "@{name}/{end}"),
            Self::Account(account) => write!(f, "{account}"),
        }
    }
}

impl FromStr for Whom {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let bare = text.strip_prefix('@').unwrap_or(text);
        if bare.len() == ID_CHARS
            && let Ok(account) = bare.to_ascii_lowercase().parse()
        {
            return Ok(Self::Account(account));
        }
        let Some((name, end)) = bare.split_once('/') else {
            return bare_username(bare).map(Self::Name);
        };
        if end.len() < ID_CHARS_MIN || !end.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            return Err(Problem::Usage(format!(
                "\"{}\" names nobody: behind the / at least the last {ID_CHARS_MIN} characters of the account's id are expected",
                text.escape_debug()
            )));
        }
        Ok(Self::One(bare_username(name)?, end.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01a20725-b3d7-769b-be22-ef49edb44707";

    fn bob(id: &str) -> Person {
        Person {
            account: id.parse().unwrap(),
            username: Some("bob".parse().unwrap()),
        }
    }

    #[test]
    fn a_member_is_named_by_name_by_the_end_of_the_id_beside_it_or_by_the_whole_id() {
        for (text, shown) in [
            ("bob", "@bob"),
            ("@Bob", "@bob"),
            ("@bob/EF49EDB44707", "@bob/ef49edb44707"),
            ("bob/edb44707", "@bob/edb44707"),
            (ID, ID),
        ] {
            let whom: Whom = text.parse().unwrap();
            assert_eq!(whom.to_string(), shown);
            assert!(whom.is(&bob(ID)), "{text}");
            let other = bob("01a20725-b3d7-769b-be22-000000000001");
            assert_eq!(whom.is(&other), whom == Whom::Name("bob".parse().unwrap()), "{text}");
        }
        assert_eq!(Whom::exactly(&bob(ID)).to_string(), "@bob/ef49edb44707");
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for bad in [
            "",
            "@",
            "@@bob",
            "b b",
            "@bob/",
            "@bob/b44707",
            "@bob/ef49edb4470g",
            "/ef49edb44707",
            &ID[1..],
        ] {
            assert_eq!(bad.parse::<Whom>().unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }
}
