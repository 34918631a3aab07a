//! The digits that two people compare.

use crate::{compare, counting, hex};
use fastchat_e2e::{IdentityKey, SafetyNumber, Username, secret::SigningSeed};
use serde_json::{Value, json};

#[test]
fn two_accounts_have_the_known_safety_number() {
    let side = |from: u8, name: &str| {
        let identity = IdentityKey::from_seed(&SigningSeed::new(counting(from))).public();
        (identity, name.parse::<Username>().unwrap())
    };
    let pairs = [
        (side(0x01, "alice"), side(0x22, "bob")),
        (side(0x22, "bob"), side(0x01, "alice")),
        (side(0x01, "alice"), side(0x22, "bobby")),
        (side(0x43, "a"), side(0x64, "a-name.of_thirty-two.characters0")),
    ];
    let answers: Vec<Value> = pairs
        .into_iter()
        .map(|(one, other)| {
            let sides = [&one, &other].map(|(identity, name)| json!({ "identity": hex(identity.as_bytes()), "username": name.as_str() }));
            let number = SafetyNumber::of((&one.0, &one.1), (&other.0, &other.1));
            json!({ "sides": sides, "number": number.to_string() })
        })
        .collect();
    compare("safety.json", &Value::from(answers));
}
