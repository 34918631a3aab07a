//! A conversation as people have it: answers, names, corrections, second thoughts, reactions.

use super::{People, eventually, person::Person, picture, text_of, texts};
use serde_json::{Value, json};
use std::fs;

/// The line of one message as somebody's history has it now.
fn line(person: &Person, of: &str, seq: &Value) -> Value {
    let history = person.history(of);
    let found = history.iter().find(|line| line["seq"] == *seq);
    found.unwrap_or_else(|| panic!("no message {seq}: {history:?}")).clone()
}

/// Everybody's history of a group is up to date with this message.
fn all_have(people: &[&Person], of: &str, text: &str) {
    for person in people {
        eventually(&format!("\"{text}\" at {}", person.name), || {
            texts(&person.history(of)).contains(&text).then_some(())
        });
    }
}

#[test]
fn three_answer_name_correct_take_back_and_react_and_a_new_device_sees_the_same() {
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    alice.ok(&["group", "create", "team", "@bob", "@carol"]);
    let of_carol = carol.start(&["listen"]);
    let plan = alice.says("#team", "lunch at noon, @carol?");
    assert_eq!((&plan["mentions"], plan.get("mentions_me")), (&json!(["carol"]), None));
    let heard = of_carol.wait_for_text("lunch at noon, @carol?");
    assert_eq!(heard["mentions_me"], true);

    let answer = carol.ok(&["send", "#team", "yes", "--reply-to", "last"]).remove(0);
    assert_eq!((&answer["reply_to"], &answer["about_seq"]), (&plan["entry"], &plan["seq"]));
    let secret = bob.says("#team", "my password is hunter2");
    bob.ok(&["delete", "#team", "last"]);
    let number = plan["seq"].to_string();
    bob.ok(&["react", "#team", &number, "🎉"]);
    bob.ok(&["react", "#team", &number, "👍"]);
    carol.ok(&["react", "#team", &number, "👍"]);
    alice.ok(&["edit", "#team", "last", "lunch at one, @carol?"]);
    let edit = of_carol.wait_for_line("the correction", |line| line["type"] == "edit");
    assert_eq!((&edit["about_seq"], &edit["text"]), (&plan["seq"], &json!("lunch at one, @carol?")));

    // What is not one's own, is not there, or is no reaction.
    carol.run(&["edit", "#team", &number, "no lunch"]).refused_with("forbidden");
    carol.run(&["delete", "#team", &number]).refused_with("forbidden");
    carol.run(&["delete", "#team", "9999"]).refused_with("not-found");
    carol
        .run(&["react", "#team", &secret["seq"].to_string(), "👍"])
        .refused_with("not-found");
    carol.run(&["react", "#team", &number, "👍👍"]).exits(2);

    all_have(&[&alice, &bob, &carol], "#team", "lunch at one, @carol?");
    for person in [&alice, &bob, &carol] {
        let plan = line(person, "#team", &plan["seq"]);
        assert_eq!((&plan["text"], &plan["edited"]), (&json!("lunch at one, @carol?"), &json!(true)));
        assert_eq!(
            plan["reactions"],
            json!([{"emoji": "👍", "from": ["bob", "carol"]}]),
            "{}",
            person.name
        );
        let secret = line(person, "#team", &secret["seq"]);
        assert_eq!((&secret["deleted"], secret.get("text")), (&json!(true), None));
        assert_eq!(line(person, "#team", &answer["seq"])["reply_to"], plan["entry"]);
    }
    bob.ok(&["react", "#team", &number, "--none"]);
    let reactions = &line(&bob, "#team", &plan["seq"])["reactions"];
    assert_eq!(*reactions, json!([{"emoji": "👍", "from": ["carol"]}]));

    let before = carol.history("#team");
    let phone = people.another_device_of(&carol, "carols-phone");
    phone.ok(&["login", "carol"]);
    assert_eq!(phone.history("#team"), before, "the same picture");
}

#[test]
fn one_sees_what_arrived_and_what_was_read_where_the_other_tells_it_and_who_is_typing() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let sent = alice.says("@bob", "are you there?");
    let of_bob = bob.start(&["listen", "--typing"]);
    of_bob.wait_for_text("are you there?");
    let marks = || {
        let history = alice.ok(&["history", "@bob", "--marks"]);
        let found = history.into_iter().find(|line| line["seq"] == sent["seq"]);
        found.expect("the message")
    };
    let line = eventually("it is delivered", || {
        Some(marks()).filter(|line| line["delivered_to"] == json!(["bob"]))
    });
    assert_eq!(line["read_by"], json!([]), "nobody is told what was read");

    eventually("bob sees that alice is typing", || {
        alice.ok(&["typing", "@bob"]);
        of_bob.lines().into_iter().find(|line| line["type"] == "typing")
    });
    let typing = of_bob.wait_for_line("typing", |line| line["type"] == "typing");
    assert_eq!((&typing["from"], &typing["name"]), (&json!("alice"), &json!("@alice")));

    bob.ok(&["history", "@alice", "--read-marks"]);
    assert_eq!(marks()["read_by"], json!(["bob"]));

    // Who is online for a moment only tells it, too.
    of_bob.kill();
    let sent = alice.says("@bob", "and now?");
    assert_eq!(texts(&bob.hears(1)), ["and now?"]);
    let history = alice.ok(&["history", "@bob", "--marks"]);
    let line = history.into_iter().find(|line| line["seq"] == sent["seq"]);
    assert_eq!(line.expect("the message")["delivered_to"], json!(["bob"]));
}

#[test]
fn what_disappears_is_gone_from_every_device_and_a_groups_name_and_picture_are_its_admins() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.ok(&["group", "create", "team", "@bob"]);
    alice.says("#team", "this stays");
    bob.run(&["group", "retention", "#team", "2s"]).refused_with("forbidden");
    bob.run(&["group", "name", "#team", "mine"]).refused_with("forbidden");
    let cat = people.file("cat.png", &picture::png(7));
    bob.run(&["group", "picture", "#team", text_of(&cat)]).refused_with("forbidden");

    alice.ok(&["group", "name", "#team", "A team"]);
    alice.ok(&["group", "picture", "#A team", text_of(&cat)]);
    // Bob is told when he comes.
    eventually("bob has the new name", || {
        let groups = bob.ok(&["groups"]);
        groups
            .into_iter()
            .find(|group| group["name"] == "#A team" && group["picture"] == true)
    });
    let copy = people.folder.path().join("copy.png");
    bob.ok(&["group", "picture", "#A team", "--save", text_of(&copy)]);
    assert_eq!(fs::read(&copy).expect("the picture"), fs::read(&cat).expect("the picture"));

    alice.ok(&["group", "retention", "#A team", "3s"]);
    let passing = alice.says("#A team", "this goes");
    assert!(passing["vanishes_at"].as_u64() > passing["at"].as_u64());
    bob.run(&["listen", "--for", "0.5"]);
    let words = |person: &Person| {
        let history = person.history("#A team");
        texts(&history).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for person in [&alice, &bob] {
        eventually("it disappears", || (words(person) == ["this stays"]).then_some(()));
    }
    // Either side of a direct chat.
    alice.says("@bob", "hello");
    bob.hears(1);
    bob.ok(&["group", "retention", "@alice", "1h"]);
    let chats = eventually("alice knows", || {
        let chats = alice.ok(&["groups", "--direct"]);
        chats
            .iter()
            .any(|chat| chat["name"] == "@bob" && chat["retention_s"] == 3_600)
            .then_some(chats)
    });
    assert_eq!(chats.len(), 2);

    let phone = people.another_device_of(&bob, "bobs-phone");
    phone.ok(&["login", "bob"]);
    assert_eq!(words(&phone), ["this stays"], "what disappears was never archived");
}
