//! The program itself dies, at the worst moments: what was taken on is sent, once.

use super::{People, person::Person, texts};
use fastchat_client::Fault;
use serde_json::Value;

/// Runs with the fault point: the program aborts when a message's state is written and nothing is sent.
#[track_caller]
fn dies_before_sending(person: &Person, arguments: &[&str]) {
    let finished = person.dies_at(Fault::Sealed, arguments);
    assert_eq!(finished.stdout.len(), 0, "it had said nothing\n{finished}");
}

#[test]
fn a_message_whose_sender_died_before_sending_is_sent_exactly_once_by_the_next_start() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.says("@bob", "before");
    dies_before_sending(&alice, &["send", "@bob", "written, not sent"]);
    assert_eq!(texts(&bob.hears(1)), ["before"]);
    bob.hears_nothing_more();

    alice.says("@bob", "after");
    let heard = bob.hears(2);
    assert_eq!(
        texts(&heard),
        ["written, not sent", "after"],
        "in the order in which they were said"
    );
    bob.hears_nothing_more();
    let all = ["before", "written, not sent", "after"];
    assert_eq!(texts(&alice.history("@bob")), all);
    assert_eq!(texts(&bob.history("@alice")), all);
}

#[test]
fn a_start_that_only_listens_sends_what_is_left_as_well() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.ok(&["group", "create", "team", "@bob"]);
    for n in 0..2 {
        dies_before_sending(&alice, &["send", "#team", &format!("left over {n}")]);
        // The next start comes before the next death.
        let terminal = alice.start(&["listen"]);
        let heard = bob.hears(1);
        assert_eq!(texts(&heard), [format!("left over {n}")]);
        terminal.kill();
    }
    bob.says("#team", "got both");
    alice.hears(1);
    bob.hears_nothing_more();
    assert_eq!(texts(&alice.history("#team")), ["left over 0", "left over 1", "got both"]);
}

#[test]
fn a_sender_killed_among_many_messages_leaves_no_hole_and_no_double() {
    const TYPED: usize = 200;
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let mut sending = alice.start(&["send", "@bob", "--lines"]);
    for n in 0..TYPED {
        sending.type_line(&format!("message {n}"));
    }
    sending.wait_for(TYPED / 4);
    let killed = sending.kill();
    let told = killed.stdout.len();

    alice.says("@bob", "the last one");
    let terminal = bob.start(&["listen"]);
    terminal.wait_for_text("the last one");
    let lines = terminal.kill().lines();
    let heard = texts(&lines);
    let taken_on = heard.len() - 1;
    assert!(
        taken_on >= told && taken_on <= TYPED,
        "{told} stood in the log as it was killed, {taken_on} arrived"
    );
    let expected: Vec<String> = (0..taken_on)
        .map(|n| format!("message {n}"))
        .chain(["the last one".to_owned()])
        .collect();
    assert_eq!(heard, expected, "the first ones, in order, each once");
    assert_eq!(texts(&alice.history("@bob")), expected);
}

#[test]
fn a_listener_killed_while_it_reads_shows_the_rest_the_next_time() {
    const SAID: usize = 200;
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let said: Vec<String> = (0..SAID).map(|n| format!("message {n}")).collect();
    let mut shown: Vec<Value> = Vec::new();
    let terminal = bob.start(&["listen"]);
    let mut sending = alice.start(&["send", "@bob", "--lines"]);
    sending.type_all(&(said.join("\n") + "\n"));
    terminal.wait_for(10);
    shown.extend(terminal.kill().lines());
    sending.finish().succeeds();
    let terminal = bob.start(&["listen"]);
    terminal.wait_for_text(&said[SAID - 1]);
    let rest = terminal.kill().lines();
    // What was printed as it died may be printed again, but nothing is left out.
    let again = texts(&shown).iter().filter(|text| texts(&rest).contains(text)).count();
    let mut all = texts(&shown)[..shown.len() - again].to_vec();
    all.extend(texts(&rest));
    assert_eq!(all, said, "{again} were shown twice");
    assert_eq!(texts(&bob.history("@alice")), said, "the history has each once");
}
