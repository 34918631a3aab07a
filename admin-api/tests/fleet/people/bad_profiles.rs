//! Profiles that are used, empty, foreign, or damaged.

use super::{People, person::Person, texts};
use std::{fs, os::unix::fs::FileExt, path::PathBuf};

/// Where SQLite keeps `user_version` in a database's header.
const USER_VERSION: u64 = 60;

fn store(person: &Person) -> PathBuf {
    person.profile.join("store.db")
}

fn set_version(person: &Person, version: u32) {
    let journal = person.profile.join("store.db-wal");
    assert!(
        !journal.exists(),
        "who ends well leaves no journal, which would have the header, too"
    );
    let file = fs::File::options().write(true).open(store(person)).expect("the store");
    file.write_all_at(&version.to_be_bytes(), USER_VERSION)
        .expect("the header is written");
}

#[test]
fn registering_into_a_used_profile_is_refused_and_harms_nothing() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.says("@bob", "before");
    alice.run(&["register", "another-name"]).refused_with("profile-in-use");
    alice.run(&["register", "alice"]).refused_with("profile-in-use");
    alice.run(&["login", "bob"]).refused();
    assert_eq!(alice.ok(&["whoami"])[0]["username"], "alice");
    alice.says("@bob", "after");
    assert_eq!(texts(&bob.hears(2)), ["before", "after"]);
    people.newcomer("another").ok(&["register", "another-name"]);
}

#[test]
fn a_profile_that_has_not_registered_says_what_to_do() {
    let people = People::meet();
    let newcomer = people.newcomer("newcomer");
    for arguments in [
        &["whoami"][..],
        &["send", "@alice", "hello"],
        &["listen", "--count", "1", "--for", "1"],
        &["history", "@alice"],
        &["groups"],
        &["logout"],
        &["group", "create", "team"],
    ] {
        let (_, message) = newcomer.run(arguments).refused().error();
        assert!(
            message.contains("register") || message.contains("login"),
            "{arguments:?}: {message}"
        );
    }
    newcomer.ok(&["register", "newcomer"]);
}

#[test]
fn a_store_of_another_version_is_refused_and_left_as_it_is() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.says("@bob", "before");
    for version in [0, 2, 1_000_000] {
        set_version(&alice, version);
        let before = fs::read(store(&alice)).unwrap();
        for arguments in [&["send", "@bob", "hello"][..], &["history", "@bob"], &["login", "alice"]] {
            let (_, message) = alice.run(arguments).refused().error();
            assert!(version == 0 || message.contains("version"), "{arguments:?}: {message}");
        }
        alice.run(&["register", "alice-again"]).refused();
        assert!(fs::read(store(&alice)).unwrap() == before, "not a byte was changed");
    }
    set_version(&alice, 1);
    alice.says("@bob", "after");
    assert_eq!(texts(&bob.hears(2)), ["before", "after"]);
}

#[test]
fn a_store_that_is_none_and_one_without_its_key_are_refused() {
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    fs::write(store(&alice), "this is no database, and never was one".repeat(200)).unwrap();
    alice.run(&["whoami"]).refused();
    fs::remove_file(bob.profile.join("storage.key")).unwrap();
    bob.run(&["whoami"]).refused();
    bob.run(&["register", "bob-again"]).refused();
    assert!(!bob.profile.join("storage.key").exists(), "no other key is made for a used store");
    fs::write(carol.profile.join("storage.key"), [7; 32]).unwrap();
    carol.run(&["whoami"]).refused();
}

#[test]
fn a_folder_that_can_not_be_a_profile_is_refused() {
    let people = People::meet();
    let file = people.file("a-file", b"not a folder");
    for profile in [file.clone(), file.join("within")] {
        let nobody = Person::new("nobody", &profile, people.wire.balancer());
        nobody.run(&["register", "nobody"]).refused();
    }
    assert_eq!(fs::read(&file).unwrap(), b"not a folder");
    people.newcomer("nobody").ok(&["register", "nobody"]);
}
