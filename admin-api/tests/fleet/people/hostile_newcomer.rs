//! A server that lies to a new device, which knows nothing yet but what the keyring and the archive say.

use super::{People, eventually, liar::lie, texts};
use bytes::Bytes;
use fastchat_wire::Op;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

#[test]
fn a_changed_record_of_the_archive_is_refused_and_told_and_the_rest_comes_back() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    for text in ["one", "two"] {
        // A batch each: what waits at a command's end is archived then.
        alice.says("@bob", text);
        assert_eq!(texts(&bob.hears(1)), [text]);
    }
    let mut forged = None;
    let liar = people.lied_to(lie(move |mut told| {
        if told.is_entry() && told.header["kind"] == "record" && *forged.get_or_insert(told.seq()) == told.seq() {
            let mut block = told.pieces.concat();
            let last = block.len() - 1;
            block[last] ^= 1;
            told.pieces = vec![Bytes::from(block)];
        }
        vec![told]
    }));
    let tablet = people.another_device_of(&bob, "bobs-tablet").with_balancer(liar.balancer());
    let signed_in = tablet.run(&["login", "bob", "--device-name", "tablet"]).exits(5).lines();
    let receipt = &signed_in[0]["restore"];
    assert_eq!(receipt["complete"], false, "{receipt}");
    let cause = receipt["refused"][0]["cause"].as_str().expect("a cause");
    assert!(cause.contains("does not open"), "{cause}");
    // The archive's first entry is shown first, to say how long it is: it was the one that was changed.
    assert_eq!(texts(&tablet.history("@alice")), ["two"]);
    alice.says("@bob", "three");
    assert_eq!(texts(&tablet.hears(1)), ["three"], "the tablet goes on");
}

#[test]
fn a_group_as_it_was_before_what_another_device_has_seen_is_not_joined() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.says("@bob", "hello");
    assert_eq!(texts(&bob.hears(1)), ["hello"]);

    // The first answer is kept; from then on it is the only one.
    let mut kept = None::<Vec<Bytes>>;
    let lies = Arc::new(AtomicBool::new(true));
    let lying = Arc::clone(&lies);
    let liar = people.lied_to(lie(move |mut told| {
        if told.answers == Some(Op::GroupInfo) && told.header.get("error").is_none() {
            let old = kept.get_or_insert_with(|| told.pieces.clone());
            if lying.load(Ordering::Relaxed) {
                told.pieces = old.clone();
            }
        }
        vec![told]
    }));
    let watch = people.another_device_of(&bob, "bobs-watch").with_balancer(liar.balancer());
    let signed_in = watch.ok(&["login", "bob", "--device-name", "watch"]);
    assert_eq!(signed_in[0]["conversations"], 1, "{signed_in:?}");
    // Bob's first device sees the group's new epoch, and archives that it did.
    alice.says("@bob", "to both");
    assert_eq!(texts(&bob.hears(1)), ["to both"]);

    let tablet = people.another_device_of(&bob, "bobs-tablet").with_balancer(liar.balancer());
    tablet.ok(&["login", "bob", "--device-name", "tablet"]);
    let told = eventually("a sentence about it", || {
        let lines = tablet.ok(&["history", "@alice", "--all", "--offline"]);
        lines.iter().find(|line| line["type"] == "unreadable").cloned()
    });
    let told = told.to_string();
    assert!(told.contains("older than") && told.contains("don't trust"), "{told}");
    lies.store(false, Ordering::Relaxed);
    alice.says("@bob", "after that");
    assert_eq!(texts(&tablet.hears(1)), ["after that"], "the truth lets it in");
}
