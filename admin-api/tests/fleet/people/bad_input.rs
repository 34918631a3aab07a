//! What people mistype: said at once, with what to do, and nothing is half done.

use super::{PATIENCE, People, finished::Finished, person::Person, texts};
use std::{io::Read as _, net::TcpListener, time::Instant};

/// Another run than the one that a person has in mind.
#[track_caller]
fn assert_usage(finished: Finished) {
    let finished = finished.exits(2);
    assert!(
        finished.stdout.is_empty() && !finished.stderr.is_empty(),
        "it says what is wrong\n{finished}"
    );
}

#[test]
fn names_and_passwords_that_are_not_good_are_refused_with_their_code() {
    let people = People::meet();
    let [alice] = people.registered(["alice"]);
    let newcomer = people.newcomer("newcomer");
    for wrong in ["another password", "correct horse battery alic", "correct horse battery alice "] {
        newcomer
            .with_password(wrong)
            .run(&["login", "alice"])
            .refused_with("bad-credentials");
    }
    newcomer.with_password("").run(&["login", "alice"]).declined();
    newcomer.with_password("1234567").run(&["register", "newcomer"]).declined();
    newcomer.run(&["login", "nobody-of-this-name"]).refused_with("bad-credentials");
    newcomer.run(&["register", "alice"]).refused_with("name-taken");
    newcomer.run(&["register", "ALICE"]).refused_with("name-taken");
    let long = "x".repeat(33);
    for malformed in ["two words", "", ".dot", "naïve", "a/b", &long] {
        assert_usage(newcomer.run(&["register", malformed]));
    }

    // After all of that the profile is as new.
    newcomer.ok(&["register", "newcomer"]);
    newcomer.says("@alice", "here I am");
    assert_eq!(texts(&alice.hears(1)), ["here I am"]);
    // And the longest of names is none too long.
    let longest = "y".repeat(32);
    people.newcomer("longest").ok(&["register", &longest]);
}

#[test]
fn whom_one_can_not_write_to_is_said() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.run(&["send", "@nobody-of-this-name", "hello"]).refused_with("not-found");
    alice.run(&["send", "#no-group-of-this-name", "hello"]).refused_with("not-found");
    alice.run(&["history", "#no-group-of-this-name"]).refused_with("not-found");
    alice
        .run(&["group", "create", "team", "@nobody-of-this-name"])
        .refused_with("not-found");
    assert_eq!(alice.ok(&["groups"]).len(), 0, "no group without its members");
    for malformed in ["bob", "@", "#", "@two words", ""] {
        assert_usage(alice.run(&["send", malformed, "hello"]));
    }
    alice.run(&["send", "@alice", "a note to myself"]).declined();
    alice.run_with_input(&["send", "@bob"], "").declined();
    assert_eq!(
        alice.run_with_input(&["send", "@bob", "--lines"], "").succeeds().len(),
        0,
        "no lines, no messages"
    );
    bob.hears_nothing_more();
}

#[test]
fn flags_and_verbs_that_do_not_exist_are_usage() {
    let folder = tempfile::tempdir().unwrap();
    let alice = Person::new("alice", &folder.path().join("alice"), "127.0.0.1:1");
    for arguments in [
        &["--no-such-flag"][..],
        &["no-such-verb"],
        &[],
        &["send"],
        &["register"],
        &["group"],
        &["group", "create"],
        &["listen", "--count", "many"],
        &["listen", "--for", "-1"],
        &["history", "@bob", "--limit", "x"],
    ] {
        assert_usage(alice.run(arguments));
    }
    assert_usage(alice.with_balancer("no port").run(&["register", "alice"]));
    assert!(!alice.profile.exists(), "nothing was made");
    for arguments in [&["--help"][..], &["--version"], &["send", "--help"]] {
        let mut command = alice.command_for_people(arguments);
        assert!(command.output().expect("it runs").status.success(), "{arguments:?}");
    }
}

#[test]
fn a_balancer_that_does_not_answer_is_said_soon() {
    let people = People::meet();
    let [alice, _] = people.registered(["alice", "bob"]);
    alice.says("@bob", "before");
    let nowhere = "127.0.0.1:1";
    for arguments in [&["send", "@bob", "hello"][..], &["group", "create", "team", "@bob"]] {
        let began = Instant::now();
        alice.with_balancer(nowhere).run(arguments).exits(3);
        assert!(began.elapsed() < PATIENCE / 2, "{arguments:?} took {:?}", began.elapsed());
    }
    let newcomer = people.newcomer("newcomer").with_balancer(nowhere);
    let (code, message) = newcomer.run(&["register", "newcomer"]).exits(3).error();
    assert!(!code.is_empty() && message.contains(nowhere), "{message}");
    // Somebody who is no balancer: a web server, here.
    let web = people.fleet.line.admin.trim_start_matches("http://").to_owned();
    let finished = newcomer.with_balancer(&web).run(&["register", "newcomer"]);
    assert!(matches!(finished.code, Some(1 | 3)), "{finished}");
    people.newcomer("newcomer").ok(&["register", "newcomer"]);
    // What needs no network needs no balancer.
    assert_eq!(texts(&alice.with_balancer(nowhere).history("@bob"))[0], "before");
}

#[test]
fn who_asks_for_tls_sends_nothing_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let balancer = listener.local_addr().unwrap().to_string();
    let listening = std::thread::spawn(move || {
        let mut first = [0];
        listener.accept().unwrap().0.read_exact(&mut first).unwrap();
        first[0]
    });
    let alice = Person::new("alice", &folder.path().join("alice"), &balancer);
    alice.run(&["--tls", "register", "alice"]).exits(3);
    assert_eq!(listening.join().unwrap(), 0x16, "the record of a TLS handshake");
}

#[test]
fn who_listens_for_a_time_that_passes_is_told_by_the_exit_code() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.says("@bob", "only one");
    let finished = bob.run(&["listen", "--count", "2", "--for", "2"]).exits(4);
    assert_eq!(texts(&finished.lines()), ["only one"], "what came is shown");
    assert_eq!(
        bob.ok(&["listen", "--for", "1"]).len(),
        0,
        "without a count there is nothing to miss"
    );
    alice.says("@bob", "another");
    let began = Instant::now();
    bob.ok(&["listen", "--count", "1", "--for", "3600"]);
    assert!(began.elapsed() < PATIENCE / 2, "it ends with its count");
}

#[test]
fn errors_for_people_are_one_line_without_colours_in_a_pipe() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let run = |person: &Person, arguments: &[&str]| {
        let output = person
            .command_for_people(arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, stdout, stderr) = run(&alice, &["send", "@nobody-of-this-name", "hello"]);
    assert_eq!((code, stdout.as_str(), stderr.lines().count()), (Some(1), "", 1), "{stderr}");
    assert!(stderr.starts_with("fastchat: not-found: "), "{stderr}");
    // What others say can't draw on one's terminal.
    let (code, ..) = run(&alice, &["send", "@bob", "red \u{1b}[31malert\u{7}\rover"]);
    assert_eq!(code, Some(0));
    let (_, heard, _) = run(&bob, &["listen", "--count", "1", "--for", "30"]);
    assert!(heard.contains("alert") && !heard.contains(['\u{1b}', '\u{7}', '\r']), "{heard:?}");
}
