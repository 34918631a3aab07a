//! Entries that don't open: shown as such, with their cause; what follows is shown as ever.

use super::{People, of, raw_device::RawDevice, texts};
use serde_json::Value;

fn unreadable(lines: &[Value]) -> Vec<u64> {
    let bad = lines.iter().filter(|line| line["type"] == "unreadable");
    bad.map(|line| {
        assert!(
            line["cause"].as_str().is_some_and(|cause| cause.len() > 10),
            "with a cause that says something: {line}"
        );
        line["seq"].as_u64().expect("a number")
    })
    .collect()
}

#[test]
fn rubbish_and_replayed_messages_are_shown_as_unreadable_and_the_rest_goes_on() {
    let people = People::meet();
    let [alice] = people.registered(["alice"]);
    let bob = people.newcomer("bob");
    let device = bob.ok(&["register", "bob"])[0]["device"].as_str().expect("a device").to_owned();
    let sent = alice.says("@bob", "one");
    bob.says("@alice", "two");
    assert_eq!(texts(&alice.hears(1)), ["two"]);
    let terminal = alice.start(&["listen", "--all"]);

    // Somebody with bob's password, but without his device's keys.
    let log = sent["conversation"].as_str().expect("a conversation");
    let mut raw = RawDevice::of(&people, &bob, &device);
    let messages = raw.log(log);
    let (_, replayed) = messages.iter().rfind(|(entry, _)| entry.kind == "app").expect("a message");
    let replayed = replayed.to_vec();
    let (half, mut flipped) = (&replayed[..replayed.len() / 2], replayed.clone());
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let mut bad = Vec::new();
    for block in [b"rubbish".as_slice(), b"", &replayed, half, &flipped, &[0; 70_000]] {
        bad.push(raw.append(log, block));
    }
    bob.says("@alice", "three");
    terminal.wait_for_text("three");
    let lines = of(&terminal.kill().lines(), "@bob");
    alice.says("@bob", "four");
    assert_eq!(unreadable(&lines), bad, "each is shown, once, at its number");
    assert_eq!(texts(&lines), ["three"]);

    // Who listens for messages alone is not bothered, and misses none.
    assert_eq!(texts(&bob.hears(2)), ["one", "four"]);
    for (person, other) in [(&alice, "@bob"), (&bob, "@alice")] {
        assert_eq!(
            texts(&person.history(other)),
            ["one", "two", "three", "four"],
            "as {} has it",
            person.name
        );
    }
}

#[test]
fn a_group_in_which_somebody_writes_rubbish_can_still_add_and_remove() {
    let people = People::meet();
    let [alice, carol] = people.registered(["alice", "carol"]);
    let bob = people.newcomer("bob");
    let device = bob.ok(&["register", "bob"])[0]["device"].as_str().expect("a device").to_owned();
    alice.ok(&["group", "create", "team", "@bob"]);
    let log = alice.says("#team", "one")["conversation"]
        .as_str()
        .expect("a conversation")
        .to_owned();
    let mut raw = RawDevice::of(&people, &bob, &device);
    for _ in 0..3 {
        raw.append(&log, b"rubbish");
    }
    alice.ok(&["group", "add", "#team", "@carol"]);
    raw.append(&log, b"more rubbish");
    alice.says("#team", "two");
    assert_eq!(texts(&carol.hears(1)), ["two"]);
    alice.ok(&["group", "remove", "#team", "@bob"]);
    carol.says("#team", "three");
    assert_eq!(texts(&alice.hears(1)), ["three"]);
    assert_eq!(texts(&bob.hears(2)), ["one", "two"]);
}
