//! A conversation as people have it: answers, names, corrections, second thoughts, reactions.

use super::{People, eventually, person::Person, texts};
use serde_json::{Value, json};

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
