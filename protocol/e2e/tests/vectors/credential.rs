//! The credential of a leaf.

use crate::{compare, counting, hex};
use fastchat_e2e::{AccountId, Credential, DeviceId, DeviceKey, IdentityKey, secret::SigningSeed};
use serde_json::json;

#[test]
fn credentials_have_the_known_bytes_and_signature() {
    let answers: Vec<_> = ["a", "alice.b-2_x", "abcdefghijklmnopqrstuvwxyz012345"]
        .into_iter()
        .map(|username| {
            let (identity_seed, device_seed) = (counting(0x11), counting(0x22));
            let identity = IdentityKey::from_seed(&SigningSeed::new(identity_seed));
            let device = DeviceKey::from_seed(&SigningSeed::new(device_seed));
            let (account_id, device_id) = (AccountId(counting(0x33)), DeviceId(counting(0x44)));
            let issued_at_ms = 1_790_000_000_123;
            let name = username.parse().unwrap();
            let credential = Credential::issue(&identity, account_id, name, device_id, device.public(), issued_at_ms);
            assert_eq!(Credential::verify(credential.as_bytes()).as_ref(), Ok(&credential));
            json!({
                "identity-seed": hex(identity_seed),
                "device-seed": hex(device_seed),
                "identity-public": hex(identity.public().as_bytes()),
                "device-public": hex(device.public().as_bytes()),
                "account": account_id.to_string(),
                "device": device_id.to_string(),
                "issued-at-ms": issued_at_ms,
                "username": username,
                "credential": hex(credential.as_bytes()),
            })
        })
        .collect();
    compare("credential.json", &json!(answers));
}
