//! Devices that come by themselves, with nobody else online, and devices that are sent away.

use super::{People, eventually, of, person::Person, raw_device::signs_in_on_new_devices, texts};
use fastchat_client::Fault;
use fastchat_wire::limits::DEVICES_PER_ACCOUNT_MAX;
use serde_json::Value;

/// How a group is called by somebody who knows only its id.
fn by_id(group: &Value) -> String {
    let id = group.as_str().expect("an id");
    format!("#{}", &id[id.len() - 12..])
}

/// What happened in a conversation, of one type.
fn happened(person: &Person, conversation: &str, r#type: &str) -> Vec<Value> {
    let mut lines = person.ok(&["history", conversation, "--limit", "10000", "--all"]);
    lines.retain(|line| line["type"] == r#type);
    lines
}

/// Signs in as a new device; the program aborts at a place.
#[track_caller]
fn dies_signing_in(person: &Person, place: Fault) {
    person.dies_at(place, &["login", &person.name, "--device-name", "tablet"]);
}

#[test]
fn a_new_device_is_in_all_conversations_with_nobody_else_online() {
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    alice.says("@bob", "before the tablet");
    alice.ok(&["group", "create", "team", "@bob", "@carol"]);
    let group = by_id(&alice.says("#team", "before the tablet")["conversation"]);
    assert_eq!(bob.hears(2).len(), 2);

    let tablet = people.another_device_of(&bob, "bobs-tablet");
    let signed_in = tablet.ok(&["login", "bob", "--device-name", "tablet"]);
    assert_eq!(signed_in[0]["conversations"], 2, "{signed_in:?}");
    tablet.says("@alice", "from the tablet");
    tablet.says(&group, "from the tablet to all");

    let heard = alice.hears(2);
    assert_eq!(texts(&of(&heard, "@bob")), ["from the tablet"]);
    assert_eq!(texts(&of(&heard, "#team")), ["from the tablet to all"]);
    assert!(
        heard.iter().all(|line| line["from"] == "bob" && line["alarms"].is_null()),
        "{heard:?}"
    );
    alice.says("@bob", "to both devices");
    alice.says("#team", "to everybody");
    assert_eq!(texts(&of(&tablet.hears(2), "@alice")), ["to both devices"]);
    assert_eq!(texts(&of(&bob.hears(2), "@alice")), ["to both devices"]);
    assert_eq!(
        texts(&carol.hears(3)),
        ["before the tablet", "from the tablet to all", "to everybody"]
    );

    // The others see that it is a new device, and which.
    for (person, conversation) in [(&alice, "@bob"), (&alice, "#team"), (&carol, "#team"), (&bob, "@alice")] {
        let came = eventually("the device's name", || {
            let came = happened(person, conversation, "device-added");
            came.iter().any(|line| line["devices"][0]["name"] == "tablet").then_some(came)
        });
        assert_eq!(came.len(), 1, "{came:?}");
        assert_eq!(came[0]["devices"][0]["account"], "bob");
        assert_eq!(came[0]["devices"][0]["device"], signed_in[0]["device"]);
    }
    // Somebody who was in tells it what the group is called.
    eventually("the group's name", || {
        tablet.ok(&["groups"]).iter().any(|line| line["name"] == "#team").then_some(())
    });
}

#[test]
fn a_removed_device_reads_nothing_new_and_does_not_come_back() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.says("@bob", "hello");
    alice.ok(&["group", "create", "team", "@bob"]);
    alice.says("#team", "hello, team");
    bob.hears(2);
    let tablet = people.another_device_of(&bob, "bobs-tablet");
    tablet.ok(&["login", "bob", "--device-name", "tablet"]);
    alice.says("@bob", "to both");
    assert_eq!(texts(&tablet.hears(1)), ["to both"]);

    let named = |devices: &[Value]| {
        devices
            .iter()
            .map(|one| (one["name"].to_string(), one["this"] == true))
            .collect::<Vec<_>>()
    };
    bob.ok(&["devices", "rename", "fastchat in a terminal", "laptop"]);
    let devices = bob.ok(&["devices"]);
    assert_eq!(named(&devices), [("\"laptop\"".to_owned(), true), ("\"tablet\"".to_owned(), false)]);
    bob.run(&["devices", "remove", "laptop"]).exits(2);
    bob.run(&["devices", "remove", "phone"]).refused_with("not-found");

    let terminal = tablet.start(&["listen", "--all"]);
    alice.says("@bob", "to its terminal");
    terminal.wait_for_text("to its terminal");
    let removed = bob.ok(&["devices", "remove", "tablet"]);
    assert_eq!((&removed[0]["removed"], &removed[0]["conversations"]), (&true.into(), &2.into()));
    // Its terminal ends by itself: the session is over.
    terminal.finish().refused_with("signed-out");
    alice.says("@bob", "without the tablet");
    alice.says("#team", "without the tablet");
    assert_eq!(
        texts(&bob.hears(4)),
        ["to both", "to its terminal", "without the tablet", "without the tablet"]
    );
    tablet.run(&["listen", "--count", "1", "--for", "5"]).refused();
    tablet.run(&["login", "bob"]).refused_with("not-found");
    tablet.run(&["send", "@alice", "let me in"]).refused();
    let history = tablet.ok(&["history", "@alice", "--offline", "--limit", "100"]);
    assert!(!texts(&history).contains(&"without the tablet"), "{history:?}");

    assert_eq!(bob.ok(&["devices"]).len(), 1);
    for conversation in ["@bob", "#team"] {
        let gone = happened(&alice, conversation, "device-removed");
        assert_eq!(gone.len(), 1, "{gone:?}");
        assert_eq!(gone[0]["devices"][0]["name"], "tablet");
    }
    let members = alice.ok(&["group", "members", "#team"]);
    assert!(members.iter().all(|member| member["devices"] == 1), "{members:?}");
}

#[test]
fn a_device_that_dies_while_it_comes_in_goes_on_at_its_next_start() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.says("@bob", "hello");
    bob.hears(1);

    // Sent and taken by the server; the device dies before it has noted that.
    let tablet = people.another_device_of(&bob, "bobs-tablet");
    dies_signing_in(&tablet, Fault::Entered);
    alice.says("@bob", "said in between");
    assert_eq!(texts(&tablet.hears(1)), ["said in between"], "nothing is missing");
    tablet.says("@alice", "here I am");
    assert_eq!(texts(&alice.hears(1)), ["here I am"]);

    // Kept and never sent: by the next start others have moved on.
    let phone = people.another_device_of(&bob, "bobs-phone");
    dies_signing_in(&phone, Fault::Entering);
    let watch = people.another_device_of(&bob, "bobs-watch");
    watch.ok(&["login", "bob", "--device-name", "watch"]);
    phone.says("@alice", "late, but here");
    watch.says("@alice", "and so am I");
    assert_eq!(texts(&alice.hears(2)), ["late, but here", "and so am I"]);
}

#[test]
fn a_login_whose_answer_is_lost_makes_one_device_and_not_two() {
    let people = People::meet();
    let [bob] = people.registered(["bob"]);
    let tablet = people.another_device_of(&bob, "bobs-tablet");
    dies_signing_in(&tablet, Fault::SignedIn);
    let keys = || bob.ok(&["devices"]).iter().map(|device| device["keys"] == true).collect::<Vec<_>>();
    assert_eq!(keys(), [true, false], "it is there, and can't read anything");
    tablet.ok(&["login", "bob", "--device-name", "tablet"]);
    assert_eq!(keys(), [true, true], "the same one");
}

#[test]
fn a_seventeenth_device_is_told_to_make_room_and_comes_in_once_one_is_sent_away() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.says("@bob", "hello");
    signs_in_on_new_devices(&people, &bob, DEVICES_PER_ACCOUNT_MAX - 1);
    let late = people.another_device_of(&bob, "bobs-seventeenth");
    let refused = late.run(&["login", "bob"]).refused_with("quota-exceeded");
    let (_, message) = refused.error();
    assert!(message.contains("16 devices") && message.contains("devices remove"), "{message}");
    bob.ok(&["devices", "remove", "device 3"]);
    late.ok(&["login", "bob"]);
    late.says("@alice", "there was room");
    assert_eq!(texts(&alice.hears(1)), ["there was room"]);
}
