//! The recovery code, on paper and as keys.

use crate::{Drawn, compare, counting, hex};
use fastchat_e2e::RecoveryCode;
use serde_json::json;

#[test]
fn recovery_codes_give_the_known_text_and_keys() {
    let answers: Vec<_> = [[0; 32], [255; 32], counting(0x10)]
        .into_iter()
        .map(|bytes: [u8; 32]| {
            let code = RecoveryCode::random(&mut Drawn::new(&[&bytes]));
            let read = RecoveryCode::parse(&code.show()).unwrap();
            assert_eq!(read.auth(), code.auth());
            json!({
                "bytes": hex(bytes),
                "shown": code.show().as_str(),
                "recovery-auth": hex(read.auth().expose()),
                "recovery-wrap": hex(read.wrap().expose()),
            })
        })
        .collect();
    compare("recovery.json", &json!(answers));
}
