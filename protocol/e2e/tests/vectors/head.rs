//! The heads of a log.

use crate::{compare, counting, hex};
use fastchat_e2e::{ConversationId, EntryId, LogHead};
use serde_json::{Value, json};

#[test]
fn a_log_has_the_known_heads() {
    let conversation = ConversationId(counting(0x66));
    let start = LogHead::start(conversation);
    let mut head = start;
    let entries: [(u8, &str, &[u8]); 3] = [(1, "commit", b""), (2, "message", b"a sealed block"), (3, "x", &[0; 300])];
    let answers: Vec<Value> = entries
        .into_iter()
        .map(|(first, kind, block)| {
            let entry = EntryId(counting(first));
            head = head.next(entry, kind, block).unwrap();
            json!({
                "seq": head.seq,
                "entry": entry.to_string(),
                "kind": kind,
                "block": hex(block),
                "head": hex(head.hash),
                "authenticated-data": String::from_utf8(head.to_authenticated_data()).unwrap(),
            })
        })
        .collect();
    compare(
        "head.json",
        &json!({ "conversation": conversation.to_string(), "head-0": hex(start.hash), "entries": answers }),
    );
}
