//! Known answers for every derivation, in files that other languages read, too.
//!
//! `FASTCHAT_WRITE_VECTORS=1` writes the files anew; without it each test
//! compares. `tests/vectors/check.py` computes the same answers with other
//! libraries.

#![expect(clippy::unwrap_used, reason = "a test panics where its fixture is broken")]

#[path = "vectors/archive.rs"]
mod archive;
#[path = "vectors/credential.rs"]
mod credential;
#[path = "vectors/file.rs"]
mod file;
#[path = "vectors/head.rs"]
mod head;
#[path = "vectors/keyring.rs"]
mod keyring;
#[path = "vectors/password.rs"]
mod password;
#[path = "vectors/recovery.rs"]
mod recovery;
#[path = "vectors/safety.rs"]
mod safety;
#[path = "vectors/signal.rs"]
mod signal;
#[path = "vectors/store.rs"]
mod store;

use rand::{TryCryptoRng, TryRng};
use serde_json::Value;
use std::{convert::Infallible, fs, path::Path};

/// Compares with a file's known answers, or writes them.
fn compare(file: &str, answers: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    if std::env::var_os("FASTCHAT_WRITE_VECTORS").is_some() {
        fs::write(&path, format!("{answers:#}\n")).unwrap();
    }
    let known: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(known, *answers, "{file}: the specification says otherwise; see protocol/E2E.md");
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that start somewhere and count up.
fn counting<const N: usize>(from: u8) -> [u8; N] {
    std::array::from_fn(|i| from.wrapping_add(u8::try_from(i % 256).unwrap()))
}

/// Draws what it is told to draw, and nothing beyond it.
struct Drawn(std::vec::IntoIter<u8>);

impl Drawn {
    fn new(parts: &[&[u8]]) -> Self {
        Self(parts.concat().into_iter())
    }
}

impl TryRng for Drawn {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("the crate draws bytes only")
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("the crate draws bytes only")
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill_with(|| self.0.next().unwrap());
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}
