//! The sealed keyring.

use crate::{Drawn, compare, counting, hex};
use fastchat_e2e::{
    Keyring,
    keyring::{Binding, open_with_password, open_with_recovery_code, seal_keyring},
    password::Kdf,
    secret::{MasterKey, RecoveryWrapKey, WrapKey},
};
use serde_json::json;

#[test]
fn a_keyring_has_the_known_seal() {
    let (identity, backup): ([u8; 32], [u8; 32]) = (counting(0x20), counting(0x40));
    let (wrap, recovery_wrap) = (WrapKey::new(counting(0x60)), RecoveryWrapKey::new(counting(0x80)));
    let master = MasterKey::new(counting(0xa0));
    let nonces: [[u8; 12]; 3] = [counting(1), counting(2), counting(3)];
    let kdf = Kdf::new("argon2id", 128 << 10, 4, 1).unwrap();
    let binding = Binding {
        username: "alice".parse().unwrap(),
        version: 0x0102_0304,
        kdf,
    };

    let keyring = Keyring::random(&mut Drawn::new(&[&identity, &backup]));
    let rng = &mut Drawn::new(&[&nonces[0], &nonces[1], &nonces[2]]);
    let sealed = seal_keyring(&keyring, &master, &binding, &wrap, &recovery_wrap, rng);

    assert_eq!(open_with_password(&sealed, &binding, &wrap).unwrap().0, master);
    let (_, read) = open_with_recovery_code(&sealed, &binding, &recovery_wrap).unwrap();
    assert_eq!(read.backup(1).unwrap().expose(), &backup);
    compare(
        "keyring.json",
        &json!({
            "username": "alice",
            "version": binding.version,
            "kdf": { "m-kib": kdf.m_kib(), "t": kdf.t(), "p": kdf.p() },
            "identity-seed": hex(identity),
            "backup-seeds": { "1": hex(backup) },
            "backup-public": { "1": hex(read.newest_backup().unwrap().1.public().as_bytes()) },
            "master": hex(master.expose()),
            "wrap": hex(wrap.expose()),
            "recovery-wrap": hex(recovery_wrap.expose()),
            "nonces": { "recovery-wrap": hex(nonces[0]), "wrap": hex(nonces[1]), "keyring": hex(nonces[2]) },
            "sealed": hex(&sealed),
        }),
    );
}
