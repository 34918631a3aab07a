//! The vector files as Rust values. Their own `about` says what the keys mean.

use fastchat_wire::{Code, FrameLimits};
use serde::{Deserialize, de::Error};
use serde_json::value::RawValue;

/// `frames.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Frames {
    #[serde(rename = "about")]
    _about: Vec<String>,
    pub(crate) vectors: Vec<Vector>,
}

/// Bytes on the wire, and what a reader must make of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) reader: Reader,
    pub(crate) bytes: Vec<Piece>,
    pub(crate) frames: Vec<Expected>,
    pub(crate) error: Option<Fault>,
    #[serde(default)]
    pub(crate) incomplete: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reader {
    BeforeSignIn,
    SignedIn,
}

impl Reader {
    pub(crate) fn limits(self) -> FrameLimits {
        match self {
            Self::BeforeSignIn => FrameLimits::UNAUTHENTICATED,
            Self::SignedIn => FrameLimits::DEFAULT,
        }
    }
}

/// A frame that must come out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) kind: String,
    pub(crate) op: Option<String>,
    pub(crate) id: Option<u64>,
    pub(crate) event: Option<String>,
    pub(crate) re: Option<u64>,
    pub(crate) answers: Option<String>,
    pub(crate) reads: Reads,
    /// Absent where it is too long to print.
    pub(crate) header: Option<Box<RawValue>>,
    #[serde(default)]
    pub(crate) block: Vec<Piece>,
}

/// What the verb's own type makes of the frame.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reads {
    Canonical,
    Readable,
    Unknown,
    Refused(Code),
}

/// The end of a stream that breaks the framing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) re: Option<u64>,
}

/// A piece of a byte string.
pub(crate) enum Piece {
    Hex(String),
    Repeat(String, usize),
    /// Text, or JSON as it stands in the file.
    Text(String),
}

impl<'de> Deserialize<'de> for Piece {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Named<'a> {
            repeat: Option<String>,
            times: Option<usize>,
            text: Option<String>,
            #[serde(borrow)]
            json: Option<&'a RawValue>,
        }
        let raw = Box::<RawValue>::deserialize(d)?;
        if raw.get().starts_with('"') {
            return serde_json::from_str(raw.get()).map(Self::Hex).map_err(D::Error::custom);
        }
        match serde_json::from_str::<Named<'_>>(raw.get()).map_err(D::Error::custom)? {
            Named {
                repeat: Some(hex),
                times: Some(times),
                text: None,
                json: None,
            } => Ok(Self::Repeat(hex, times)),
            Named {
                repeat: None,
                times: None,
                text: Some(text),
                json: None,
            } => Ok(Self::Text(text)),
            Named {
                repeat: None,
                times: None,
                text: None,
                json: Some(json),
            } => Ok(Self::Text(json.get().to_owned())),
            _ => Err(D::Error::custom("a piece is hex, {repeat, times}, {text} or {json}")),
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "half a byte in {text:.40}");
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex"))
        .collect()
}

/// The bytes of all pieces, one after another.
pub(crate) fn bytes(pieces: &[Piece]) -> Vec<u8> {
    pieces
        .iter()
        .flat_map(|piece| match piece {
            Piece::Hex(hex) => unhex(hex),
            Piece::Repeat(hex, times) => unhex(hex).repeat(*times),
            Piece::Text(text) => text.clone().into_bytes(),
        })
        .collect()
}

/// Bytes as `bytes` of the file has them, for a person to paste.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `control.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Control {
    #[serde(rename = "about")]
    _about: Vec<String>,
    pub(crate) paths: Vec<Path>,
    pub(crate) specs: Vec<Document>,
    pub(crate) statuses: Vec<Document>,
}

/// Where a process reads and posts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Path {
    pub(crate) role: fastchat_wire::control::Role,
    pub(crate) name: String,
    pub(crate) spec: String,
    pub(crate) status: String,
}

/// A document and what a reader makes of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) reads: Acceptance,
    pub(crate) document: Box<RawValue>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Acceptance {
    Canonical,
    Readable,
    Refused,
}
