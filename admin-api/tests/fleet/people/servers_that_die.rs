//! A server dies while people talk: they notice a pause, and nothing else.

use super::{super::harness::signal, People, eventually, said, texts};
use std::collections::BTreeSet;

const EACH: usize = 300;

#[test]
fn a_killed_server_loses_nothing_doubles_nothing_and_keeps_the_order() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.says("@bob", "before");
    assert_eq!(texts(&bob.hears(1)), ["before"]);

    let (to_alice, to_bob) = (alice.listens_for(EACH), bob.listens_for(EACH));
    people.wait_until_online(2);
    let mut from_alice = alice.start(&["send", "@bob", "--lines"]);
    let mut from_bob = bob.start(&["send", "@alice", "--lines"]);
    for n in 0..EACH {
        if n == EACH / 2 {
            // In the middle of it: some stand in the log, others are on their way.
            from_alice.wait_for(EACH / 4);
            from_bob.wait_for(EACH / 4);
            let victim = people.wire.busiest();
            people.kill_server(&victim);
        }
        from_alice.type_line(&format!("alice says {n}"));
        from_bob.type_line(&format!("bob says {n}"));
    }

    let by = |name: &str| (0..EACH).map(|n| format!("{name} says {n}")).collect::<Vec<_>>();
    for (sent, heard, name) in [(from_alice, to_bob, "alice"), (from_bob, to_alice, "bob")] {
        let (sent, heard) = (sent.finish().succeeds(), heard.finish().succeeds());
        assert_eq!(texts(&sent), by(name), "one line for each message, in order");
        assert_eq!(texts(&heard), by(name), "heard once each, in order");
        let numbers = |lines: &[_]| said(lines).into_iter().map(|(seq, ..)| seq).collect::<Vec<_>>();
        assert_eq!(numbers(&sent), numbers(&heard), "where the sender was told that they stand");
    }
    let (of_alice, of_bob) = (alice.history("@bob"), bob.history("@alice"));
    assert_eq!(said(&of_alice), said(&of_bob), "both histories agree");
    assert_eq!(of_alice.len(), 1 + 2 * EACH);
    let numbers: BTreeSet<u64> = said(&of_alice).into_iter().map(|(seq, ..)| seq).collect();
    assert_eq!(numbers.len(), of_alice.len(), "each at a number of its own");
}

#[test]
fn listeners_come_back_by_themselves_when_their_server_dies() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.says("@bob", "one");
    let terminal = bob.start(&["listen"]);
    terminal.wait_for_text("one");
    for round in 0..2 {
        people.wait_until_online(1);
        let server = people.wire.busiest();
        let pid = people.runtime.block_on(people.fleet.rest().server(&server)).expect("a server")["pid"].clone();
        signal(u32::try_from(pid.as_u64().expect("a pid")).expect("a pid"), "KILL");
        eventually("the connection is gone", || {
            (!people.wire.open().contains_key(&server)).then_some(())
        });
        let text = format!("said when bob's server was dead, round {round}");
        alice.says("@bob", &text);
        terminal.wait_for_text(&text);
    }
    assert_eq!(terminal.lines().len(), 3, "each once");
}
