//! A cheap look at a header: the few keys that the hot path needs, found in one
//! pass without allocation.
//!
//! Every key of every frame is passed over, so a header that is not one JSON
//! object is noticed; values that nobody asked for are only skipped. What a
//! verb's own type has to know is parsed by serde, off the hot path.

/// What the hot path needs of a header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Glance<'a> {
    /// A response's request, or the request that an event is part of the answer to.
    pub(crate) re: Option<u64>,
    /// An event's name.
    pub(crate) event: Option<&'a [u8]>,
    /// There is an `error`.
    pub(crate) failed: bool,
    /// An entry's number.
    pub(crate) seq: Option<u64>,
    /// An entry's log.
    pub(crate) log: Option<&'a [u8]>,
    /// Length of the block.
    pub(crate) content_length: u64,
}

/// The header is not one JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer sent a header that is not one JSON object")]
pub(crate) struct Malformed;

/// A value, as far as it matters.
enum Value<'a> {
    Number(u64),
    Text(&'a [u8]),
    Other,
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Looks at a header.
///
/// # Errors
/// [`Malformed`] where it can't be read as one object.
pub(crate) fn glance(header: &[u8]) -> Result<Glance<'_>, Malformed> {
    let mut scanner = Scanner { bytes: header, at: 0 };
    let mut glance = Glance::default();
    scanner.expect(b'{')?;
    if scanner.peek()? == b'}' {
        return Ok(glance);
    }
    loop {
        scanner.expect(b'"')?;
        let key = scanner.rest_of_string()?;
        scanner.expect(b':')?;
        let value = scanner.value()?;
        match (key, value) {
            (b"re", Value::Number(re)) => glance.re = Some(re),
            (b"event", Value::Text(name)) => glance.event = Some(name),
            (b"error", _) => glance.failed = true,
            (b"seq", Value::Number(seq)) => glance.seq = Some(seq),
            (b"log", Value::Text(log)) => glance.log = Some(log),
            (b"content-length", Value::Number(length)) => glance.content_length = length,
            _ => {}
        }
        match scanner.next()? {
            b',' => {}
            b'}' => return Ok(glance),
            _ => return Err(Malformed),
        }
    }
}

impl<'a> Scanner<'a> {
    /// The next byte that is no white space, without taking it.
    fn peek(&mut self) -> Result<u8, Malformed> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Malformed),
            }
        }
    }

    fn next(&mut self) -> Result<u8, Malformed> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        (self.next()? == byte).then_some(()).ok_or(Malformed)
    }

    /// What is left of a string whose opening quote was taken; escapes stay as they are.
    fn rest_of_string(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.bytes[start..self.at - 1]);
                }
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(Malformed),
            }
        }
    }

    fn value(&mut self) -> Result<Value<'a>, Malformed> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.rest_of_string().map(Value::Text)
            }
            b'0'..=b'9' => Ok(self.number()),
            b'{' | b'[' => {
                self.skip_nested()?;
                Ok(Value::Other)
            }
            _ => {
                self.skip_word();
                Ok(Value::Other)
            }
        }
    }

    fn number(&mut self) -> Value<'a> {
        let mut number = 0u64;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            number = number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        // The protocol writes integers without fraction or exponent.
        if self.skip_word() { Value::Other } else { Value::Number(number) }
    }

    /// Skips `true`, `null`, `-1.5e3`; true where there was something.
    fn skip_word(&mut self) -> bool {
        let start = self.at;
        while matches!(self.bytes.get(self.at), Some(b'a'..=b'z' | b'E' | b'0'..=b'9' | b'-' | b'+' | b'.')) {
            self.at += 1;
        }
        self.at > start
    }

    fn skip_nested(&mut self) -> Result<(), Malformed> {
        let mut depth = 0usize;
        loop {
            match self.next()? {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                b'"' => {
                    self.rest_of_string()?;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::{Head, Kind};
    use proptest::prelude::*;

    #[test]
    fn an_entry_event_is_read() {
        let header = br#"{"event":"entry","log":"l-1","seq":43,"at":1763800000125,"kind":"app","entry":"e","epoch":3,"content-length":5}"#;
        let glance = glance(header).unwrap();
        assert_eq!(glance.event, Some(&b"entry"[..]));
        assert_eq!(glance.log, Some(&b"l-1"[..]));
        assert_eq!((glance.seq, glance.content_length, glance.re), (Some(43), 5, None));
    }

    #[test]
    fn a_failure_is_seen_and_its_inner_keys_are_not_taken_for_the_headers_own() {
        let header =
            br#" { "re" : 7 , "error" : {"code":"overloaded","seq":1,"message":"a \"}\" in it","x":[1,{"re":9}]}, "epoch":-2.5e3 } "#;
        let glance = glance(header).unwrap();
        assert_eq!((glance.re, glance.failed, glance.seq), (Some(7), true, None));
    }

    #[test]
    fn a_null_re_is_none() {
        assert_eq!(glance(br#"{"re":null,"duplicate":false}"#).unwrap().re, None);
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for bad in [
            "",
            "{",
            "[]",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":\"x",
            "{\"a\":[1}",
            "{\"a\":1;",
            "{\"\\",
        ] {
            // A bracket that closes another kind is left to the peer's conscience, but nothing may run past the end.
            assert_eq!(glance(bad.as_bytes()), Err(Malformed), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn it_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = glance(&bytes);
        }

        #[test]
        fn it_sees_what_the_whole_parser_sees(re in 0u64..1 << 53, length in 0u64..1 << 40, text in ".{0,12}", failed: bool, first: bool) {
            let text = serde_json::to_string(&text).unwrap();
            let error = if failed { format!(r#","error":{{"code":"internal","message":{text}}}"#) } else { String::new() };
            let length = format!(r#""content-length":{length}"#);
            let header = if first {
                format!(r#"{{{length},"x":{text},"re":{re}{error}}}"#)
            } else {
                format!(r#"{{"re":{re},"x":[{text},{{}}]{error},{length}}}"#)
            };
            let head = Head::parse(header.as_bytes()).unwrap();
            let glance = glance(header.as_bytes()).unwrap();
            prop_assert_eq!(head.kind, Kind::Response { re: glance.re, failed: glance.failed });
            prop_assert_eq!(head.content_length, glance.content_length);
        }
    }
}
