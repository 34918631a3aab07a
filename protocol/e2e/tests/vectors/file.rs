//! Sealed files of sizes around the borders of their chunks.

use crate::{Drawn, compare, counting, hex};
use fastchat_e2e::{open_file, seal_file};
use serde_json::json;
use sha2::{Digest, Sha256};

#[test]
fn files_have_the_known_seal() {
    let (key, prefix): ([u8; 32], [u8; 7]) = (counting(0x55), counting(0xf0));
    let answers: Vec<_> = [0, 1, 65_535, 65_536, 65_537, 131_072]
        .into_iter()
        .map(|size: usize| {
            // Byte i of the plaintext is i mod 251.
            let plain: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let mut sealed = Vec::new();
            let file = seal_file(&plain[..], &mut sealed, &mut Drawn::new(&[&key, &prefix])).unwrap();
            let mut opened = Vec::new();
            open_file(&sealed[..], &mut opened, &file.key, &file.plaintext).unwrap();
            assert!(opened == plain);
            json!({
                "size": size,
                "sha256": hex(file.plaintext.sha256),
                "sealed-size": sealed.len(),
                "sealed-sha256": hex(Sha256::digest(&sealed)),
                "sealed-last-16": hex(&sealed[sealed.len() - 16..]),
            })
        })
        .collect();
    compare(
        "file.json",
        &json!({ "key": hex(key), "prefix": hex(prefix), "plaintext": "byte i is i mod 251", "files": answers }),
    );
}
