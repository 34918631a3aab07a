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
    let whole = alice.history("#team");
    for person in &everybody {
        let others: Vec<&String> = expected.iter().filter(|text| !text.ends_with(&person.name)).collect();
        assert_eq!(texts(&person.hears(others.len())), others, "{} reads everybody", person.name);
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
    let changes = [
        (&alice, ["group", "add", "#team", "@dave"]),
        (&bob, ["group", "add", "#team", "@erin"]),
        (&alice, ["group", "remove", "#team", "@dave"]),
        (&bob, ["group", "add", "#team", "@dave"]),
        (&alice, ["group", "remove", "#team", "@erin"]),
    ];
    for (n, pair) in changes.chunks(2).enumerate() {
        let running: Vec<_> = pair.iter().map(|(admin, change)| admin.start(change)).collect();
        talking.type_line(&format!("meanwhile {n}"));
        for change in running {
            change.finish().succeeds();
        }
    }
    talking.finish().succeeds();
    let mut members = alice.members("#team");
    // The third and the fourth change contradict each other: either may come last.
    members.retain(|name| name != "dave");
    assert_eq!(members, ["alice", "bob", "carol"]);
    alice.ok(&["group", "add", "#team", "@dave"]);
    for person in [&alice, &bob, &carol, &dave] {
        person.says("#team", &format!("here is {}", person.name));
    }
    for person in [&alice, &bob, &carol, &dave] {
        let history = person.history("#team");
        let last = texts(&history).split_off(history.len() - 4);
        assert_eq!(
            last,
            ["here is alice", "here is bob", "here is carol", "here is dave"],
            "as {} has it",
            person.name
        );
    }
    assert_eq!(
        texts(&bob.history("#team")),
        texts(&carol.history("#team")),
        "changes cost nobody a message"
    );
    erin.run(&["send", "#team", "I am out"]).refused();
}
