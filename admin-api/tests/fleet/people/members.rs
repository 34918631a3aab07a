//! Who is out of a group reads nothing that follows.

use super::{People, of, person::Person, tape::Connection, texts};
use fastchat_wire::{Deframer, EventName, FrameLimits, Kind, chat::entry::EntryEvent};
use serde_json::Value;

/// Numbers of a conversation's entries that came over a connection.
fn entries_on(connection: &Connection, conversation: &Value) -> Vec<u64> {
    let mut frames = Deframer::new(FrameLimits::DEFAULT);
    frames.push(&connection.down.bytes());
    let mut numbers = Vec::new();
    while let Some(frame) = frames.next().expect("servers keep to the framing") {
        if matches!(
            frame.head.kind,
            Kind::Event {
                name: Some(EventName::Entry),
                ..
            }
        ) {
            let entry: EntryEvent = frame.parse().expect("an entry");
            if *conversation == entry.log.to_string() {
                numbers.push(entry.seq);
            }
        }
    }
    numbers
}

/// Nothing of the group reaches this connection beyond the number; something did before.
fn assert_nothing_beyond(people: &People, person: &Person, conversation: &Value, last: u64) {
    let numbers: Vec<u64> = people
        .wire
        .tapes()
        .iter()
        .flat_map(|connection| entries_on(connection, conversation))
        .collect();
    assert!(numbers.contains(&last), "the tapes have the entry that says so");
    let reached = person.ok(&["listen", "--all", "--for", "1"]);
    let beyond = of(&reached, "#team").into_iter().find(|line| line["seq"].as_u64() > Some(last));
    assert_eq!(beyond, None, "{} reads nothing that follows", person.name);
}

fn is_out(line: &Value) -> bool {
    line["name"] == "#team" && (line["type"] == "out" || line["type"] == "removed")
}

#[test]
fn a_removed_member_is_told_reads_nothing_that_follows_and_says_nothing_more() {
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    alice.ok(&["group", "create", "team", "@bob", "@carol"]);
    alice.says("#team", "with bob");
    people.wait_until_online(0);
    let before = people.wire.tapes().len();
    let terminal = bob.start(&["listen", "--all"]);
    terminal.wait_for_text("with bob");
    let connections = people.wire.tapes().split_off(before);
    let connection = connections
        .iter()
        .find(|connection| connection.to != "balancer")
        .expect("bob's connection");

    alice.ok(&["group", "remove", "#team", "@bob"]);
    let told = terminal.wait_for_line("that bob is out", is_out);
    let after = alice.says("#team", "without bob");
    assert_eq!(texts(&carol.hears(2)), ["with bob", "without bob"]);

    let conversation = &after["conversation"];
    let last = after["seq"].as_u64().expect("a number");
    assert!(told["seq"].as_u64() < Some(last), "{told}");
    let reached = entries_on(connection, conversation);
    assert!(
        !reached.is_empty() && reached.iter().all(|seq| *seq < last),
        "no entry reaches bob's device, keys or not: {reached:?}"
    );
    assert!(!texts(&terminal.kill().lines()).contains(&"without bob"));

    bob.run(&["send", "#team", "still here?"]).refused();
    bob.run(&["group", "add", "#team", "@bob"]).refused();
    alice.says("#team", "still without bob");
    assert_nothing_beyond(&people, &bob, conversation, last);
    assert_eq!(texts(&bob.history("#team")), ["with bob"], "what he was there for stays with him");
    assert_eq!(alice.members("#team"), ["alice", "carol"]);
    assert_eq!(texts(&carol.hears(1)), ["still without bob"]);

    // Back again, he reads from there on.
    alice.ok(&["group", "add", "#team", "@bob"]);
    alice.says("#team", "welcome back");
    assert_eq!(texts(&bob.hears(1)), ["welcome back"]);
    bob.says("#team", "thank you");
    assert_eq!(texts(&carol.hears(2)), ["welcome back", "thank you"]);
}

#[test]
fn who_was_offline_when_removed_learns_it_later_and_reads_nothing_since() {
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    alice.ok(&["group", "create", "team", "@bob", "@carol"]);
    alice.says("#team", "one");
    bob.hears(1);
    alice.says("#team", "said before the removal");
    alice.ok(&["group", "remove", "#team", "@bob"]);
    alice.says("#team", "said after the removal");
    let lines = bob.ok(&["listen", "--all", "--for", "2"]);
    assert_eq!(texts(&of(&lines, "#team")), ["said before the removal"]);
    assert!(lines.iter().any(is_out), "he is told: {lines:?}");
    assert_eq!(texts(&carol.hears(3)).len(), 3);
}

#[test]
fn who_leaves_is_out_and_the_others_go_on() {
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    alice.ok(&["group", "create", "team", "@bob", "@carol"]);
    alice.says("#team", "with carol");
    carol.hears(1);
    let terminal = bob.start(&["listen", "--all"]);
    terminal.wait_for_text("with carol");
    carol.ok(&["group", "leave", "#team"]);
    terminal.wait_for_line("that carol left", |line| line["type"] == "left");

    carol.run(&["send", "#team", "one more thing"]).refused();
    alice.says("#team", "without carol");
    terminal.wait_for_text("without carol");
    bob.says("#team", "indeed");
    assert_eq!(texts(&alice.hears(1)), ["indeed"]);
    carol.hears_nothing_more();
    assert_eq!(texts(&carol.history("#team")), ["with carol"]);
    for person in [&alice, &bob] {
        assert_eq!(person.members("#team"), ["alice", "bob"]);
    }
}

#[test]
fn only_admins_change_who_is_in_and_the_last_one_stays() {
    let people = People::meet();
    let [alice, bob, carol, dave] = people.registered(["alice", "bob", "carol", "dave"]);
    alice.ok(&["group", "create", "team", "@bob", "@carol"]);
    for arguments in [
        ["group", "add", "#team", "@dave"],
        ["group", "remove", "#team", "@carol"],
        ["group", "promote", "#team", "@bob"],
    ] {
        bob.run(&arguments).refused();
    }
    let refused = alice.run(&["group", "demote", "#team", "@alice"]).refused_with("forbidden");
    assert!(refused.error().1.contains("another member admin first"), "{refused}");
    alice
        .run(&["group", "add", "#team", "@nobody-of-this-name"])
        .refused_with("not-found");
    alice.run(&["group", "add", "@bob", "@carol"]).declined();
    assert_eq!(alice.members("#team"), ["alice", "bob", "carol"]);
    alice.ok(&["group", "promote", "#team", "@bob"]);
    bob.ok(&["group", "demote", "#team", "@alice"]);
    alice.run(&["group", "add", "#team", "@dave"]).refused();
    bob.ok(&["group", "add", "#team", "@dave"]);
    for person in [&alice, &carol, &dave] {
        person.says("#team", &format!("here is {}", person.name));
    }
    assert_eq!(texts(&bob.hears(3)), ["here is alice", "here is carol", "here is dave"]);
}
