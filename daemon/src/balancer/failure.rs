//! Failed responses, whatever the peer made us say in them.

use bytes::Bytes;
use fastchat_wire::{Empty, EncodeError, ErrorBody, encode_failure};

/// A message may quote what the peer sent; more of it than this helps nobody, and escaped it may not fit into a header.
const MESSAGE_CHARS_MAX: usize = 300;

/// Writes a failed response; `re` is `None` where the request's id could not be read.
///
/// # Errors
/// It doesn't fit into a header: a fault of ours.
pub(super) fn encode(re: Option<u64>, mut error: ErrorBody) -> Result<Bytes, EncodeError> {
    if let Some((end, _)) = error.message.char_indices().nth(MESSAGE_CHARS_MAX) {
        error.message.truncate(end);
    }
    encode_failure(re, &error, &Empty {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::Code;

    #[test]
    fn a_message_of_any_length_and_any_characters_fits() {
        for character in ["a", "\u{1}", "\"", "ü", "\u{10ffff}"] {
            let bytes = encode(None, ErrorBody::new(Code::BadRequest, character.repeat(20_000))).unwrap();
            assert!(bytes.len() < 4_096, "{character:?}");
        }
    }
}
