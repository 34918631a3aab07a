//! The tools of these tests, tested: what they find must be there to be found.

use super::{
    super::client::{Client, assign, auth_of, new_id},
    People,
    capture::Secrets,
    person::Person,
    raw_device::says_in_the_clear,
    running::Running,
};
use fastchat_wire::{LogId, chat::assign::Assign};
use std::process::Command;

#[test]
fn what_goes_over_the_wire_and_stands_on_disks_is_found() {
    let people = People::meet();
    let text = "said by a raw client, for everybody to read";
    let other = "said by nobody, ever, to anybody at all";
    says_in_the_clear(&people, "mallory-the-raw", text);

    let is_on_wire = |secrets: Secrets| !secrets.found_on(&people.wire).is_empty();
    assert!(is_on_wire(Secrets::new().text("mallory-the-raw")), "the name, as it was registered");
    assert!(is_on_wire(Secrets::new().text(text)), "the text, as it was appended");
    let auth = auth_of("mallory-the-raw");
    assert!(
        is_on_wire(Secrets::new().bytes(auth.expose(), "auth")),
        "what a header carries as base64url"
    );
    assert!(!is_on_wire(Secrets::new().text(other)));

    let on_disks = |secret: &str| Secrets::new().text(secret).found_below(people.fleet.data(), &[]);
    assert!(!on_disks(text).is_empty(), "while it runs, in the database or its journal");
    assert!(on_disks(other).is_empty());
    let People { fleet, .. } = people;
    let (data, ..) = fleet.stop();
    let found = Secrets::new().text(text).found_below(data.path(), &[]);
    assert!(
        found.iter().any(|found| found.contains("fastchat.db")),
        "and when it is over: {found:?}"
    );
}

#[test]
fn everybody_who_asks_the_relayed_balancer_comes_through_the_relays() {
    let people = People::meet();
    let mut online = Vec::new();
    for n in 1..=3 {
        let greeted = async {
            let assigned = assign(people.wire.balancer(), &Assign::default()).await.expect("a server");
            let theirs = assigned.address.expect("an address");
            assert_ne!(theirs, people.fleet.server(&assigned.server), "it is the relay's address");
            Client::greeted(&theirs, Some(assigned.ticket)).await.expect("the ticket is good")
        };
        online.push(people.runtime.block_on(greeted));
        people.wait_until_online(n);
    }
    let each_one = [("s1", 1), ("s2", 1), ("s3", 1)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(people.wire.open(), each_one.into());
    people.kill_server("s2");
    super::eventually("the connection of the killed server ends", || {
        (!people.wire.open().contains_key("s2")).then_some(())
    });
    drop(online);
    people.wait_until_online(0);
}

fn shell(script: &str) -> Running {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Running::start(command)
}

#[test]
fn a_running_program_is_heard_while_it_runs_and_after() {
    let mut running = shell(
        r#"echo '{"n":1}'; read line; echo "{\"text\":\"$line\"}"; echo "{\"error\":{\"code\":\"no\",\"message\":\"not today\"}}" >&2; exit 1"#,
    );
    assert_eq!(running.wait_for(1)[0]["n"], 1);
    running.type_line("typed");
    running.wait_for_text("typed");
    let arrivals = running.arrivals();
    assert!(arrivals[0] <= arrivals[1], "in the order of their coming");
    let finished = running.finish().refused_with("no");
    assert_eq!(super::texts(&finished.lines()), ["typed"]);
}

#[test]
fn a_killed_program_has_no_exit_code_and_keeps_what_it_said() {
    let running = shell(r#"echo '{"text":"first"}'; read never; echo '{"text":"second"}'"#);
    running.wait_for(1);
    let killed = running.kill();
    assert_eq!((killed.code, killed.stdout.len()), (None, 1), "{killed}");
}

#[test]
#[should_panic(expected = "it ended before: 2 lines")]
fn a_program_that_ends_too_early_fails_the_test_at_once() {
    shell(r#"echo '{"n":1}'"#).wait_for(2);
}

#[test]
#[should_panic(expected = "a line of `--json` that is no object: hello")]
fn a_line_that_is_no_json_fails_the_test() {
    shell("echo hello").finish().succeeds();
}

#[test]
fn a_person_is_a_folder_a_password_and_a_balancer() {
    let folder = tempfile::tempdir().unwrap();
    let alice = Person::new("alice", &folder.path().join("alice"), "127.0.0.1:1");
    let command = alice.command(&["whoami"]);
    let shown = format!("{command:?}");
    assert!(
        shown.contains("--balancer") && shown.contains("--json") && shown.contains("whoami"),
        "{shown}"
    );
    assert_eq!(alice.at(), "@alice");
    // An id of any kind reads as one: raw devices need it.
    let id: LogId = new_id();
    assert_eq!(id.to_string().parse::<LogId>().unwrap(), id);
}
