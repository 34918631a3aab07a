//! A value as another implementation has sealed it for the local store.

use crate::{counting, hex};
use fastchat_e2e::store::{Store, Table};
use serde_json::Value;
use std::{fs, path::Path};

const NOTES: Table = Table::new("notes");

#[test]
fn a_store_opens_the_known_value() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/store.json");
    let known: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let key: [u8; 32] = counting(0x77);
    assert_eq!(known["storage-key"], hex(key));
    assert_eq!(known["table"], NOTES.name());

    let folder = tempfile::TempDir::new().unwrap();
    // A store under the known storage key: its file stands there before.
    let key_file = folder.path().join("storage.key");
    fs::write(&key_file, key).unwrap();
    fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let store = Store::create(folder.path()).unwrap();

    let from_hex = |name: &str| -> Vec<u8> {
        let digits = known[name].as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(byte).collect()
    };
    let insert = "INSERT INTO sealed (tab, key, value) VALUES (?1, ?2, ?3)";
    let database = rusqlite::Connection::open(store.path()).unwrap();
    database
        .execute(insert, (NOTES.name(), from_hex("row-key"), from_hex("sealed")))
        .unwrap();

    let opened = store.read(|tx| tx.get(NOTES, &from_hex("row-key"))).unwrap().unwrap();
    assert_eq!(opened.expose(), from_hex("value"));
}
