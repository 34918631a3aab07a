//! The bot that the library has as its example: each text is answered once, whoever is killed meanwhile.

use super::{super::harness::binary, People, person::Person, running::Running, texts};
use std::process::Command;

const SAID: usize = 200;

/// Runs the example on a profile. It finds the balancer there, and says nothing on its streams.
fn bot(account: &Person) -> Running {
    let mut command = Command::new(binary("examples/echo_bot"));
    command.arg(&account.profile);
    Running::start(command)
}

#[test]
fn a_bot_answers_each_text_once_and_in_order_though_it_and_its_server_are_killed() {
    let people = People::meet();
    let [alice, echo] = people.registered(["alice", "echo"]);
    let said: Vec<String> = (0..SAID).map(|n| format!("message {n}")).collect();
    let answers: Vec<String> = said.iter().map(|text| format!("you said: {text}")).collect();

    let first = bot(&echo);
    let heard = alice.listens_for(SAID);
    let mut saying = alice.start(&["send", "@echo", "--lines"]);
    saying.type_all(&(said.join("\n") + "\n"));
    heard.wait_for(SAID / 4);
    first.kill();
    let second = bot(&echo);
    heard.wait_for(SAID / 2);
    people.kill_server(&people.wire.busiest());

    saying.finish().succeeds();
    assert_eq!(texts(&heard.finish().succeeds()), answers);
    alice.hears_nothing_more();
    second.kill();
}

#[test]
fn a_bot_answers_in_groups_what_was_said_while_it_was_away() {
    let people = People::meet();
    let [alice, echo] = people.registered(["alice", "echo"]);
    alice.ok(&["group", "create", "lab", "@echo"]);
    alice.says("#lab", "is there anybody?");
    let running = bot(&echo);
    let answers = alice.hears(1);
    assert_eq!(
        (texts(&answers), &answers[0]["name"]),
        (vec!["you said: is there anybody?"], &"#lab".into())
    );
    running.kill();
}
