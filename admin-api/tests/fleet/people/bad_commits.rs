//! Commits that are no good: for anybody, or for all but their author. Nobody is stopped, and people are told in a line.

use super::{People, eventually, liar::lie, person::Person, running::Running, texts, unruly::Unruly};
use bytes::Bytes;
use fastchat_client::Fault;
use serde_json::Value;

/// The causes that are shown in a conversation.
fn causes(person: &Person, conversation: &str) -> Vec<String> {
    let lines = person.ok(&["history", conversation, "--limit", "10000", "--all"]);
    let causes = lines.iter().filter_map(|line| line["cause"].as_str());
    causes.map(str::to_owned).collect()
}

fn listens(person: &Person) -> Running {
    person.start(&["listen"])
}

fn conversation(line: &Value) -> String {
    line["conversation"].as_str().expect("an id").to_owned()
}

#[test]
fn a_commit_that_is_no_good_for_anybody_stops_nobody_and_a_new_device_gets_in() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let mut mallory = Unruly::registered(&people, "mallory");
    alice.ok(&["group", "create", "team", "@bob", &mallory.at()]);
    let log = conversation(&alice.says("#team", "before"));
    assert_eq!(texts(&bob.hears(1)), ["before"]);
    mallory.commits_rubbish(&log);

    // What the server keeps for those who come by themselves is rubbish as well.
    let tablet = people.another_device_of(&bob, "bobs-tablet");
    tablet.ok(&["login", "bob", "--device-name", "tablet"]);
    let waiting = tablet.start(&["listen", "--all"]);
    alice.dies_at(Fault::Skipped, &["listen", "--for", "30"]);
    let terminal = alice.start(&["listen", "--all"]);
    waiting.wait_for_line("that it is in", |line| line["type"] == "joined" && line["conversation"] == *log);
    terminal.kill();
    waiting.kill();

    bob.says("#team", "we go on");
    tablet.says(&format!("#{}", &log[log.len() - 12..]), "so do I");
    for person in [&alice, &tablet] {
        let heard = eventually("all of it", || {
            let heard = texts(&person.history(&format!("#{}", &log[log.len() - 12..])))
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>();
            heard.contains(&"so do I".to_owned()).then_some(heard)
        });
        assert!(heard.contains(&"we go on".to_owned()), "as {} has it: {heard:?}", person.name);
    }
    let told = causes(&alice, "#team");
    assert!(matches!(&told[..], [one] if one.contains("was ignored")), "one line: {told:?}");
}

#[test]
fn a_commit_that_opens_for_nobody_else_is_left_behind_and_what_waited_is_said() {
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    let mut mallory = Unruly::registered(&people, "mallory");
    alice.ok(&["group", "create", "team", "@bob", "@carol", &mallory.at()]);
    alice.ok(&["group", "promote", "#team", &mallory.at()]);
    let log = conversation(&alice.says("#team", "before"));
    for person in [&bob, &carol] {
        assert_eq!(texts(&person.hears(1)), ["before"]);
    }
    // Sealed before the commit stands, and not sent.
    alice.dies_at(Fault::Sealed, &["send", "#team", "said before it was known"]);
    mallory.commits_what_opens_for_nobody(&log, &["group", "promote", "#team", "@bob"]);

    // One dies as it learns of it, one as it comes in again; all are back at their next start.
    bob.dies_at(Fault::Stranded, &["listen", "--for", "30"]);
    carol.dies_at(Fault::Entered, &["listen", "--for", "30"]);
    for person in [&bob, &carol] {
        person.ok(&["groups"]);
    }
    for person in [&alice, &bob, &carol] {
        person.says("#team", &format!("here is {}", person.name));
    }
    let expected = [
        "before",
        "said before it was known",
        "here is alice",
        "here is bob",
        "here is carol",
    ];
    for person in [&alice, &bob, &carol] {
        assert_eq!(texts(&person.history("#team")), expected, "as {} has it", person.name);
        let told = causes(person, "#team");
        assert!(
            matches!(&told[..], [one] if one.contains("comes in again by itself")),
            "{} is told in one line: {told:?}",
            person.name
        );
    }
    assert_eq!(alice.members("#team"), ["alice", "bob", "carol", "mallory"]);
    alice.ok(&["group", "remove", "#team", &mallory.at()]);
    bob.says("#team", "without her");
    listens(&carol).wait_for_text("without her");
}

#[test]
fn who_is_given_an_invitation_that_does_not_open_comes_in_by_itself_and_says_so() {
    let people = People::meet();
    let [alice] = people.registered(["alice"]);
    let liar = people.lied_to(lie(|mut told| {
        if told.is_entry() && told.header["kind"] == "welcome" {
            let mut block = told.pieces.concat();
            if let Some(last) = block.last_mut() {
                *last ^= 1;
            }
            told.pieces = vec![Bytes::from(block)];
        }
        vec![told]
    }));
    let bob = people.newcomer("bob").with_balancer(liar.balancer());
    bob.ok(&["register", "bob"]);
    alice.ok(&["group", "create", "team", "@bob"]);
    let log = conversation(&alice.says("#team", "not for bob, as it came to be"));
    let terminal = bob.start(&["listen", "--all"]);
    terminal.wait_for_line("that it is in", |line| line["type"] == "joined");
    alice.says("#team", "for bob");
    terminal.wait_for_text("for bob");
    let told = causes(&bob, &format!("#{}", &log[log.len() - 12..]));
    let told: Vec<&String> = told.iter().filter(|cause| cause.contains("invitation")).collect();
    assert!(
        matches!(&told[..], [one] if one.contains("come in by itself")),
        "one line: {told:?}"
    );
}
