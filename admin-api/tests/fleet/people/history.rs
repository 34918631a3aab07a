//! The account's archive: what a new device has of what was said before it came, and who opens it.

use super::{People, liar::lie, person::Person, running::Running, said, texts};
use fastchat_client::Fault;
use fastchat_wire::Op;
use serde_json::{Value, json};

/// Signs in on a device that is new; the receipt of its restore.
#[track_caller]
fn signs_in(device: &Person) -> Value {
    let lines = device.ok(&["login", &device.name]);
    assert_eq!(lines.len(), 1, "one line: {lines:?}");
    lines[0]["restore"].clone()
}

/// A receipt without trouble, of so many messages.
#[track_caller]
fn is_whole(receipt: &Value, messages: u64) {
    let counted = (receipt["restored"].as_u64(), receipt["messages"].as_u64());
    assert_eq!(counted, (Some(messages), Some(messages)), "{receipt}");
    assert_eq!(receipt["complete"], true, "{receipt}");
}

#[test]
fn a_new_device_has_the_history_by_password_and_by_recovery_code_and_the_old_one_may_be_gone() {
    let people = People::meet();
    let [bob] = people.registered(["bob"]);
    let alice = people.newcomer("alice");
    let code = alice.ok(&["register", "alice"])[0]["recovery_code"]
        .as_str()
        .expect("a code")
        .to_owned();
    for n in 0..3 {
        alice.says("@bob", &format!("alice {n}"));
        bob.says("@alice", &format!("bob {n}"));
    }
    alice.ok(&["group", "create", "team", "@bob"]);
    alice.says("#team", "hello team");
    alice.hears(3);
    let (direct, team) = (alice.history("@bob"), alice.history("#team"));

    let phone = people.another_device_of(&alice, "alices-phone");
    let receipt = signs_in(&phone);
    // Beside what was said the group's name is a message, too.
    is_whole(&receipt, 8);
    assert!(receipt["heads_compared"].as_u64() > Some(0), "{receipt}");
    assert_eq!(said(&phone.history("@bob")), said(&direct));
    assert_eq!(said(&phone.history("#team")), said(&team));
    phone.hears_nothing_more();

    let tablet = people.another_device_of(&alice, "alices-tablet").with_password("forgotten, alas");
    let mut command = tablet.command(&["login", "alice", "--recovery"]);
    command.env("FASTCHAT_RECOVERY_CODE", &code);
    let lines = Running::start(command).finish().succeeds();
    is_whole(&lines[0]["restore"], 8);
    assert_eq!(said(&tablet.history("@bob")), said(&direct));

    // What was archived since comes when it is asked for.
    alice.says("@bob", "later");
    let lines = phone.ok(&["restore"]);
    assert_eq!(lines[0]["complete"], true, "{lines:?}");
    assert_eq!(texts(&phone.history("@bob")).last(), Some(&"later"));
}

#[test]
fn a_restore_that_is_killed_goes_on_and_ends_with_the_whole_history() {
    const SAID: usize = 150;
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let mut sending = alice.start(&["send", "@bob", "--lines"]);
    let all: Vec<String> = (0..SAID).map(|n| format!("message {n}")).collect();
    sending.type_all(&(all.join("\n") + "\n"));
    sending.finish().succeeds();
    assert_eq!(bob.hears(SAID).len(), SAID);

    let phone = people.another_device_of(&alice, "alices-phone");
    phone.dies_at(Fault::Restored, &["login", "alice"]);
    let part = texts(&phone.ok(&["history", "@bob", "--offline"])).len();
    assert!(part > 0 && part < SAID, "the newest {part} are there");
    // Without a password: what is begun goes on by itself.
    let lines = phone.with_password("not asked for").ok(&["restore"]);
    is_whole(&lines[0], SAID as u64);
    assert_eq!(texts(&phone.history("@bob")), all);
}

#[test]
fn a_device_that_dies_while_it_archives_loses_nothing_and_doubles_nothing() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.says("@bob", "one");
    alice.dies_at(Fault::Archived, &["send", "@bob", "two"]);
    alice.dies_at(Fault::Archiving, &["send", "@bob", "three"]);
    // What is left is archived at the start.
    alice.dies_at(Fault::Archived, &["send", "@bob", "never said"]);
    alice.says("@bob", "four");
    assert_eq!(texts(&bob.hears(4)), ["one", "two", "three", "four"]);

    let phone = people.another_device_of(&alice, "alices-phone");
    is_whole(&signs_in(&phone), 4);
    assert_eq!(said(&phone.history("@bob")), said(&alice.history("@bob")));
}

#[test]
fn a_group_whose_admin_has_switched_the_archive_off_is_on_the_devices_that_read_it_only() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.ok(&["group", "create", "team", "@bob"]);
    alice.says("#team", "for the archive");
    bob.hears(1);
    bob.run(&["group", "archive", "#team", "off"]).refused_with("forbidden");
    let lines = alice.ok(&["group", "archive", "#team", "off"]);
    assert_eq!(lines[0]["archive"], false);
    alice.says("#team", "not for the archive");
    bob.hears(1);
    bob.says("#team", "nor this");
    alice.hears(1);

    for (who, device) in [(&alice, "alices-phone"), (&bob, "bobs-phone")] {
        let phone = people.another_device_of(who, device);
        signs_in(&phone);
        assert_eq!(texts(&phone.history("#team")), ["for the archive"], "{device}");
    }
    alice.ok(&["group", "archive", "#team", "on"]);
    alice.says("#team", "again");
    let tablet = people.another_device_of(&alice, "alices-tablet");
    signs_in(&tablet);
    assert_eq!(texts(&tablet.history("#team")), ["for the archive", "again"]);
}

#[test]
fn a_new_password_opens_the_same_account_and_devices_and_recovery_code_go_on() {
    let people = People::meet();
    let [bob] = people.registered(["bob"]);
    let alice = people.newcomer("alice");
    let code = alice.ok(&["register", "alice"])[0]["recovery_code"]
        .as_str()
        .expect("a code")
        .to_owned();
    alice.says("@bob", "before");
    let terminal = bob.start(&["listen"]);
    terminal.wait_for_text("before");
    let change = |with: &[&str], environment: &[(&str, &str)]| {
        let mut command = alice.command(with);
        command.envs(environment.iter().copied());
        Running::start(command).finish()
    };
    change(
        &["password"],
        &[("FASTCHAT_PASSWORD", "not this one"), ("FASTCHAT_NEW_PASSWORD", "another good one")],
    )
    .refused();
    change(&["password"], &[("FASTCHAT_NEW_PASSWORD", "short")]).refused();
    let lines = change(&["password"], &[("FASTCHAT_NEW_PASSWORD", "another good one")]).succeeds();
    assert_eq!(lines[0]["changed"], true);
    alice.says("@bob", "the old device goes on");
    terminal.wait_for_text("the old device goes on");

    let phone = people.another_device_of(&alice, "alices-phone");
    phone.run(&["login", "alice"]).refused();
    is_whole(&signs_in(&phone.with_password("another good one")), 2);
    // The code is still good, and sets the next one.
    let environment = [
        ("FASTCHAT_RECOVERY_CODE", code.as_str()),
        ("FASTCHAT_NEW_PASSWORD", "a third one, then"),
    ];
    change(&["password", "--recovery"], &environment).succeeds();
    let tablet = people.another_device_of(&alice, "alices-tablet");
    tablet.with_password("another good one").run(&["login", "alice"]).refused();
    is_whole(&signs_in(&tablet.with_password("a third one, then")), 2);
}

#[test]
fn a_password_whose_change_went_unanswered_is_found_to_hold() {
    let people = People::meet();
    let liar = people.lied_to(lie(|mut told| {
        if told.answers == Some(Op::ChangePassword) {
            // It was changed; whoever asked can't know.
            told.header = json!({"re": told.header["re"], "error": {"code": "unavailable", "message": "later", "retry-after-ms": 10}});
        }
        vec![told]
    }));
    let alice = people.newcomer("alice").with_balancer(liar.balancer());
    alice.ok(&["register", "alice"]);
    let mut command = alice.command(&["password"]);
    command.env("FASTCHAT_NEW_PASSWORD", "another good one");
    assert_eq!(Running::start(command).finish().succeeds()[0]["changed"], true);
    let phone = people.another_device_of(&alice, "alices-phone");
    phone.run(&["login", "alice"]).refused();
    is_whole(&signs_in(&phone.with_password("another good one")), 0);
}
