//! Password to what signs in and what seals.

use crate::{compare, counting, hex};
use fastchat_e2e::{
    password::{Kdf, stretch},
    secret::Password,
};
use serde_json::json;

#[test]
fn passwords_give_the_known_keys() {
    let answers: Vec<_> = [
        ("correct horse battery staple", counting::<16>(0)),
        // Composed here, decomposed below: one password.
        ("caf\u{e9} \u{1f431}", counting::<16>(16)),
        ("cafe\u{301} \u{1f431}", counting::<16>(16)),
    ]
    .into_iter()
    .map(|(password, salt)| {
        let kdf = Kdf::REGISTRATION;
        let stretched = stretch(&Password::new(password.into()), &salt, kdf).unwrap();
        json!({
            "password-utf8": hex(password),
            "salt": hex(salt),
            "kdf": { "alg": Kdf::ALGORITHM, "m-kib": kdf.m_kib(), "t": kdf.t(), "p": kdf.p() },
            "stretched": hex(stretched.expose()),
            "auth": hex(stretched.auth().expose()),
            "wrap": hex(stretched.wrap().expose()),
        })
    })
    .collect();
    assert_eq!(answers[1]["auth"], answers[2]["auth"]);
    compare("password.json", &json!(answers));
}
