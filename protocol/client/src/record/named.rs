//! How a person names a message: by its number, by the end of its id, or as the last one.

use super::find::ID_CHARS_MIN;
use crate::problem::Problem;
use std::str::FromStr;

/// Which message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// The newest: one's own where it is to be changed, else somebody else's.
    Last,
    /// By its number in the log: the same for all members.
    Number(u64),
    /// By its entry's id, or the end of it, in lower case.
    Id(String),
}

impl FromStr for Named {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        if text == "last" {
            return Ok(Self::Last);
        }
        // An id's end may consist of digits alone; no log is as long.
        if let (true, Ok(number)) = (text.len() < ID_CHARS_MIN, text.parse()) {
            return Ok(Self::Number(number));
        }
        let is_id = text.len() >= ID_CHARS_MIN && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if is_id {
            return Ok(Self::Id(text.to_ascii_lowercase()));
        }
        Err(Problem::Usage(format!(
            "\"{}\" names no message: write its number (`fastchat history --numbers` shows it), at least the last \
             {ID_CHARS_MIN} characters of its id, or last",
            text.escape_debug()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_named_by_number_id_or_as_the_last_one() {
        assert_eq!("last".parse::<Named>().unwrap(), Named::Last);
        assert_eq!("17".parse::<Named>().unwrap(), Named::Number(17));
        assert_eq!("17171717".parse::<Named>().unwrap(), Named::Id("17171717".to_owned()));
        let id = "0198A1B2-0000-7000-8000-00000000ABCD";
        assert_eq!(id.parse::<Named>().unwrap(), Named::Id(id.to_ascii_lowercase()));
        for bad in ["", "abc", "last one", "-1", "12345g78", "@bob"] {
            assert_eq!(bad.parse::<Named>().unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }
}
