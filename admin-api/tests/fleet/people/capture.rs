//! Looks for what was said in what went over the wire and in what stands on disks.
//!
//! A secret is looked for as it is, and as hex, base64 and base64url (wherever
//! it stands in a longer text), and escaped as JSON. What is compressed or
//! split is not found: the secrets here can't be compressed, and are short.

use super::{super::harness::walk, wire::Wire};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

/// Every form is at least so long, or it would be found by chance.
const LENGTH_MIN: usize = 8;
/// Length of what is looked for of a file.
const PIECE: usize = 16;
/// Pieces of one file.
const PIECES: usize = 64;

/// What must not be found (or must, in a test of this search).
pub(super) struct Secrets {
    /// Form and its label.
    forms: Vec<(Vec<u8>, String)>,
    by_beginning: HashMap<[u8; LENGTH_MIN], Vec<usize>>,
    /// By the first two bytes: most places are done with at once.
    may_begin: Vec<bool>,
}

impl Secrets {
    pub(super) fn new() -> Self {
        Self {
            forms: Vec::new(),
            by_beginning: HashMap::new(),
            may_begin: vec![false; 1 << 16],
        }
    }

    /// A text.
    pub(super) fn text(mut self, text: &str) -> Self {
        let json = serde_json::to_string(text).expect("a text");
        let ascii: String = json
            .encode_utf16()
            .map(|unit| {
                char::from_u32(unit.into())
                    .filter(char::is_ascii)
                    .map_or(format!("\\u{unit:04x}"), String::from)
            })
            .collect();
        for (form, escaped) in [("JSON", json.trim_matches('"')), ("JSON in ASCII", ascii.trim_matches('"'))] {
            if escaped != text {
                self.add(escaped.as_bytes(), format!("{text:?} as {form}"));
            }
        }
        self.bytes(text.as_bytes(), &format!("{text:?}"))
    }

    /// Bytes.
    pub(super) fn bytes(mut self, bytes: &[u8], label: &str) -> Self {
        self.add(bytes, label.to_owned());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.add(hex.to_uppercase().as_bytes(), format!("{label} as HEX"));
        self.add(hex.as_bytes(), format!("{label} as hex"));
        for before in 0..3 {
            self.add(&base64_within(&STANDARD_NO_PAD, bytes, before), format!("{label} as base64"));
            self.add(&base64_within(&URL_SAFE_NO_PAD, bytes, before), format!("{label} as base64url"));
        }
        self
    }

    /// Pieces of a file, all over it. Its first bytes are left out: they are any file's of its type.
    pub(super) fn file(self, content: &[u8], label: &str) -> Self {
        let begin = 64;
        let step = ((content.len() - begin - PIECE) / PIECES).max(1);
        (begin..=content.len() - PIECE).step_by(step).fold(self, |secrets, at| {
            secrets.bytes(&content[at..at + PIECE], &format!("{label} at byte {at}"))
        })
    }

    fn add(&mut self, form: &[u8], label: String) {
        let beginning = *form
            .first_chunk()
            .unwrap_or_else(|| panic!("{label}: {LENGTH_MIN} bytes are the least to look for"));
        self.may_begin[two(&beginning)] = true;
        self.by_beginning.entry(beginning).or_default().push(self.forms.len());
        self.forms.push((form.to_vec(), label));
    }

    /// Labels of what occurs in some bytes.
    pub(super) fn found_in(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for (at, beginning) in bytes.array_windows::<LENGTH_MIN>().enumerate() {
            if self.may_begin[two(beginning)] {
                let candidates = self
                    .by_beginning
                    .get(beginning)
                    .into_iter()
                    .flatten()
                    .map(|form| &self.forms[*form]);
                found.extend(
                    candidates
                        .filter(|(form, _)| bytes[at..].starts_with(form))
                        .map(|(_, label)| label.as_str()),
                );
            }
        }
        found
    }

    /// What is on the tapes, with where.
    pub(super) fn found_on(&self, wire: &Wire) -> Vec<String> {
        let mut found = Vec::new();
        for (n, connection) in wire.tapes().iter().enumerate() {
            for (way, tape) in [("to", &connection.up), ("from", &connection.down)] {
                let labels = self.found_in(&tape.bytes());
                found.extend(
                    labels
                        .iter()
                        .map(|label| format!("{label}: connection {n}, {way} {}", connection.to)),
                );
            }
        }
        found
    }

    /// What is in the files below a folder, with where. `leave_out` are folders' names.
    pub(super) fn found_below(&self, folder: &Path, leave_out: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for path in walk(folder) {
            if path.iter().any(|part| leave_out.iter().any(|name| part == *name)) {
                continue;
            }
            let bytes = match std::fs::read(&path) {
                // A log that was rotated, or a journal that was taken away, since the folder was read.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                read => read.unwrap_or_else(|e| panic!("{}: {e}", path.display())),
            };
            found.extend(self.found_in(&bytes).iter().map(|label| format!("{label}: {}", path.display())));
        }
        found
    }
}

fn two(beginning: &[u8; LENGTH_MIN]) -> usize {
    usize::from(u16::from_be_bytes([beginning[0], beginning[1]]))
}

/// The characters that stand for these bytes alone, wherever they stand in a longer text: `before` is the
/// number of bytes before them, modulo 3.
fn base64_within(engine: &impl Engine, bytes: &[u8], before: usize) -> Vec<u8> {
    let text = engine.encode([&[0; 2][..before], bytes].concat());
    let whole = (8 * before).div_ceil(6)..8 * (before + bytes.len()) / 6;
    text.as_bytes()[whole].to_vec()
}

#[test]
fn a_secret_is_found_in_whatever_form_it_stands_and_wherever() {
    let secret = "what the \"cat\" did — on Friday";
    let secrets = Secrets::new().text(secret);
    let longer = |before: &str| format!("{before}{secret} and more");
    for before in ["", "x", "xx", "xxx"] {
        let whole = longer(before);
        let hex: String = whole.bytes().map(|byte| format!("{byte:02X}")).collect();
        let forms = [
            whole.clone().into_bytes(),
            hex.to_lowercase().into_bytes(),
            hex.into_bytes(),
            STANDARD_NO_PAD.encode(&whole).into_bytes(),
            URL_SAFE_NO_PAD.encode(&whole).into_bytes(),
            serde_json::to_vec(&whole).unwrap(),
            whole.replace('"', "\\\"").replace('—', "\\u2014").into_bytes(),
        ];
        for form in forms {
            let shown = String::from_utf8_lossy(&form).into_owned();
            assert!(!secrets.found_in(&form).is_empty(), "not found in {shown}");
        }
    }
    assert!(secrets.found_in(b"what the dog did on Friday").is_empty());
    let file = super::noise(40_000, 7);
    let secrets = Secrets::new().file(&file, "a file");
    assert!(!secrets.found_in(&file[7_000..9_000]).is_empty(), "a part of a file is enough");
}
