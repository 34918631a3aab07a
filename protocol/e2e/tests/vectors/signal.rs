//! Signals.

use crate::{compare, counting, hex};
use fastchat_e2e::{
    ConversationId, DeviceId,
    signal::{SignalPlace, open_signal, seal_signal},
};
use serde_json::json;

#[test]
fn a_signal_has_the_known_bytes() {
    let (key, plain) = (counting(0x10), br#"{"type":"typing"}"#);
    let place = SignalPlace {
        conversation: ConversationId(counting(0x66)),
        epoch: 9,
        device: DeviceId(counting(0x77)),
        counter: 258,
    };
    let block = seal_signal(&key, &place, plain);
    assert_eq!(open_signal(&key, &place, &block).unwrap().as_slice(), plain);
    compare(
        "signal.json",
        &json!({
            "exported-key": hex(key),
            "conversation": place.conversation.to_string(),
            "epoch": place.epoch,
            "device": place.device.to_string(),
            "counter": place.counter,
            "plain": String::from_utf8_lossy(plain),
            "block": hex(block),
        }),
    );
}
