//! Two admins change a group at the same moment.

use super::{People, said, texts};

#[test]
fn what_two_admins_add_at_the_same_time_is_all_added_and_everybody_can_talk() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let newcomers = people.registered(["carol", "dave", "erin", "frank", "grace", "heidi"]);
    alice.ok(&["group", "create", "team", "@bob"]);
    alice.ok(&["group", "promote", "#team", "@bob"]);
    for pair in newcomers.chunks(2) {
        let adding = [(&alice, &pair[0]), (&bob, &pair[1])].map(|(admin, new)| admin.start(&["group", "add", "#team", &new.at()]));
        for admin in adding {
            admin.finish().succeeds();
        }
    }
    let mut everybody = vec![&alice, &bob];
    everybody.extend(&newcomers);
    let mut names: Vec<&str> = everybody.iter().map(|person| person.name.as_str()).collect();
    names.sort_unstable();

    for person in &everybody {
        person.says("#team", &format!("here is {}", person.name));
    }
    let expected: Vec<String> = everybody.iter().map(|person| format!("here is {}", person.name)).collect();
    for person in &everybody {
        let others: Vec<&String> = expected.iter().filter(|text| !text.ends_with(&person.name)).collect();
        assert_eq!(texts(&person.hears(others.len())), others, "{} reads everybody", person.name);
    }
    let whole = alice.history("#team");
    assert_eq!(texts(&whole), expected);
    for person in &everybody {
        assert_eq!(said(&person.history("#team")), said(&whole), "as {} has it", person.name);
        assert_eq!(person.members("#team"), names, "as {} sees it", person.name);
    }
}

#[test]
fn one_admin_adds_while_the_other_removes_and_all_keep_talking() {
    let people = People::meet();
    let [alice, bob, carol, dave, erin] = people.registered(["alice", "bob", "carol", "dave", "erin"]);
    alice.ok(&["group", "create", "team", "@bob", "@carol"]);
    alice.ok(&["group", "promote", "#team", "@bob"]);
    let mut talking = carol.start(&["send", "#team", "--lines"]);
    for (n, (by_alice, by_bob)) in [
        (["add", "#team", "@dave"], ["add", "#team", "@erin"]),
        (["remove", "#team", "@erin"], ["promote", "#team", "@carol"]),
        (["remove", "#team", "@dave"], ["add", "#team", "@erin"]),
    ]
    .into_iter()
    .enumerate()
    {
        let changes = [(&alice, by_alice), (&bob, by_bob)].map(|(admin, change)| admin.start(&[&["group"][..], &change].concat()));
        talking.type_line(&format!("meanwhile {n}"));
        for change in changes {
            change.finish().succeeds();
        }
    }
    talking.finish().succeeds();
    dave.run(&["send", "#team", "I am out"]).refused();

    let members = [&alice, &bob, &carol, &erin];
    for person in members {
        person.says("#team", &format!("here is {}", person.name));
    }
    for person in [&alice, &bob, &carol] {
        // Erin speaks last: her word is new to everybody else.
        person.start(&["listen"]).wait_for_text("here is erin");
    }
    for person in members {
        let history = person.history("#team");
        let last = texts(&history).split_off(history.len() - members.len());
        assert_eq!(
            last,
            ["here is alice", "here is bob", "here is carol", "here is erin"],
            "as {} has it: {history:?}",
            person.name
        );
        assert_eq!(
            person.members("#team"),
            ["alice", "bob", "carol", "erin"],
            "as {} sees it",
            person.name
        );
    }
    let (of_bob, of_carol) = (bob.history("#team"), carol.history("#team"));
    assert_eq!(said(&of_bob), said(&of_carol), "changes cost nobody a message");
    assert_eq!(of_bob.len(), 3 + members.len());
}
