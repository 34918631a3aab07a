//! Profile and balancer: by flag, by environment, and as they were the last time.

use super::{People, person::Person, running::Running, texts};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt};

/// Runs with this environment and these arguments, and nothing else.
#[track_caller]
fn run(person: &Person, environment: &[(&str, &str)], arguments: &[&str]) -> Vec<Value> {
    let mut command = person.bare_command();
    command.envs(environment.iter().copied()).arg("--json").args(arguments);
    Running::start(command).finish().succeeds()
}

#[test]
fn profile_and_balancer_come_by_flag_by_environment_or_from_the_last_time() {
    let people = People::meet();
    let [bob] = people.registered(["bob"]);
    let alice = people.newcomer("alice");
    let balancer = ("FASTCHAT_BALANCER", people.wire.balancer());

    let profile = ("FASTCHAT_PROFILE", "at-work");
    run(&alice, &[profile, balancer], &["register", "alice"]);
    let folder = people.folder.path().join(".local/share/fastchat/at-work");
    assert!(folder.join("store.db").exists(), "a name is a folder in the home");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(
        (mode(&folder), mode(&folder.join("store.db"))),
        (0o700, 0o600),
        "nobody else reads it"
    );

    run(&alice, &[profile], &["send", "@bob", "the balancer of the last time"]);
    run(
        &alice,
        &[("FASTCHAT_PROFILE", "of-nobody"), ("FASTCHAT_BALANCER", "127.0.0.1:1")],
        &[
            "send",
            "@bob",
            "a flag beats the environment",
            "--profile",
            "at-work",
            "--balancer",
            balancer.1,
        ],
    );
    run(&alice, &[balancer], &["register", "alice-by-default"]);
    let names = [&[profile][..], &[]].map(|environment| run(&alice, environment, &["whoami"])[0]["username"].clone());
    assert_eq!(names, ["alice", "alice-by-default"], "each profile is somebody of its own");
    assert!(people.folder.path().join(".local/share/fastchat/default").exists());
    assert_eq!(
        texts(&bob.hears(2)),
        ["the balancer of the last time", "a flag beats the environment"]
    );
}
