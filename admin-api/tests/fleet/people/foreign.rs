//! Members that run another MLS implementation, on a whole fleet, with people who run `fastchat`.

use super::{People, alarms, eventually, of, person::Person, texts};
use fastchat_e2e::ConversationId;
use fastchat_interop::{Device, Implementation, Said};

/// How `fastchat` is told of a conversation whose name it may not know.
fn by_id(conversation: ConversationId) -> String {
    let id = conversation.to_string();
    format!("#{}", &id[id.len() - 12..])
}

fn said(conversation: ConversationId, from: &str, text: &str) -> Said {
    Said {
        conversation,
        from: from.to_owned(),
        text: text.to_owned(),
    }
}

/// A device that runs another implementation, under a new name.
fn foreigner(people: &People, name: &str, implementation: Implementation) -> Device {
    Device::register(people.wire.balancer(), name, implementation).expect("registered")
}

/// Fails the test where somebody was warned of something, or could not read something.
#[track_caller]
fn all_is_well(person: &Person, conversations: &[&str]) {
    for conversation in conversations {
        let lines = person.ok(&["history", conversation, "--limit", "10000", "--all"]);
        assert_eq!(alarms(&lines), Vec::<String>::new(), "{lines:#?}");
        assert!(lines.iter().all(|line| line["type"] != "unreadable"), "{lines:#?}");
    }
}

/// The foreign member is the founder.
fn it_founds(implementation: Implementation) {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let mut olga = foreigner(&people, "olga", implementation);

    let direct = olga.found_direct("alice").unwrap();
    olga.say(direct, "hello from afar").unwrap();
    assert_eq!(texts(&of(&alice.hears(1), "@olga")), ["hello from afar"]);
    alice.says("@olga", "hello, stranger");
    assert_eq!(olga.hears(1).unwrap(), [said(direct, "alice", "hello, stranger")]);

    let team = olga.found_group("team", &["alice", "bob"]).unwrap();
    olga.say(team, "hi all").unwrap();
    assert_eq!(texts(&of(&alice.hears(1), "#team")), ["hi all"]);
    assert_eq!(texts(&of(&bob.hears(1), "#team")), ["hi all"]);
    bob.says("#team", "hi from bob");
    alice.says("#team", "hi from alice");
    let expected = [said(team, "bob", "hi from bob"), said(team, "alice", "hi from alice")];
    assert_eq!(olga.hears(2).unwrap(), expected);
    assert_eq!(alice.members("#team"), ["alice", "bob", "olga"]);

    // A device of ours comes in by itself, by what the foreign member's last commit left.
    olga.renew(direct).unwrap();
    olga.renew(team).unwrap();
    let tablet = people.another_device_of(&alice, "alices-tablet");
    let signed_in = tablet.ok(&["login", "alice", "--device-name", "tablet"]);
    assert_eq!(signed_in[0]["conversations"], 2, "{signed_in:?}");
    tablet.says("@olga", "from the tablet");
    tablet.says(&by_id(team), "from the tablet to all");
    let expected = [
        said(direct, "alice", "from the tablet"),
        said(team, "alice", "from the tablet to all"),
    ];
    assert_eq!(olga.hears(2).unwrap(), expected);
    olga.sees_members(team, &["alice", "alice", "bob", "olga"]).unwrap();
    olga.say(direct, "to both devices").unwrap();
    assert_eq!(texts(&tablet.hears(1)), ["to both devices"]);

    // An admin's commits: who goes reads nothing more.
    olga.remove(team, "bob").unwrap();
    olga.say(team, "without bob").unwrap();
    assert_eq!(texts(&of(&alice.hears(3), "#team")), ["hi from bob", "without bob"]);
    assert_eq!(alice.members("#team"), ["alice", "olga"]);
    assert_eq!(texts(&bob.hears(2)), ["hi from alice", "from the tablet to all"]);
    bob.hears_nothing_more();
    all_is_well(&alice, &["@olga", "#team"]);
    all_is_well(&tablet, &["@olga", &by_id(team)]);
}

/// The foreign member is invited, and follows what ours do.
fn it_is_invited(implementation: Implementation) {
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    let mut olga = foreigner(&people, "olga", implementation);

    alice.says("@olga", "may I?");
    let heard = olga.hears(1).unwrap();
    let direct = heard[0].conversation;
    assert_eq!(heard, [said(direct, "alice", "may I?")]);
    olga.say(direct, "please").unwrap();
    assert_eq!(texts(&of(&alice.hears(1), "@olga")), ["please"]);

    alice.ok(&["group", "create", "club", "@bob", "@olga"]);
    alice.says("#club", "welcome");
    let heard = olga.hears(1).unwrap();
    let club = heard[0].conversation;
    assert_eq!(heard, [said(club, "alice", "welcome")]);
    assert!(olga.has_head(club), "the adder has told it how the log stands");
    olga.say(club, "thank you").unwrap();
    assert_eq!(texts(&of(&bob.hears(2), "#club")), ["welcome", "thank you"]);

    // Ours commit, and it follows: one comes, one goes, one is made an admin.
    alice.ok(&["group", "add", "#club", "@carol"]);
    alice.ok(&["group", "remove", "#club", "@bob"]);
    alice.ok(&["group", "promote", "#club", "@carol"]);
    alice.says("#club", "carol for bob");
    assert_eq!(olga.hears(1).unwrap(), [said(club, "alice", "carol for bob")]);
    assert_eq!(olga.members(club).unwrap(), ["alice", "carol", "olga"]);
    // It commits, and ours follow.
    olga.renew(club).unwrap();
    olga.say(club, "with new keys").unwrap();
    assert_eq!(texts(&carol.hears(2)), ["carol for bob", "with new keys"]);
    carol.says("#club", "seen");
    assert_eq!(olga.hears(1).unwrap(), [said(club, "carol", "seen")]);

    // Its second device comes in by itself, by what our last commit left.
    alice.ok(&["group", "demote", "#club", "@carol"]);
    let mut tablet = olga.another(implementation).unwrap();
    tablet.come_in(club).unwrap();
    tablet.come_in(direct).unwrap();
    tablet.say(club, "from the other device").unwrap();
    assert_eq!(
        texts(&of(&alice.hears(4), "#club")),
        ["thank you", "with new keys", "seen", "from the other device"]
    );
    alice.says("#club", "to both devices");
    assert_eq!(tablet.hears(1).unwrap(), [said(club, "alice", "to both devices")]);
    let expected = [said(club, "olga", "from the other device"), said(club, "alice", "to both devices")];
    assert_eq!(olga.hears(2).unwrap(), expected);
    assert!(tablet.has_head(club), "it believes the first member who says how the log stands");
    tablet.say(club, "agreed").unwrap();
    assert_eq!(
        texts(&of(&carol.hears(3), "#club")),
        ["from the other device", "to both devices", "agreed"]
    );

    // And it goes with both its devices.
    alice.ok(&["group", "remove", "#club", "@olga"]);
    olga.sees_itself_out(club).unwrap();
    assert_eq!(alice.members("#club"), ["alice", "carol"]);
    for person in [&alice, &carol] {
        all_is_well(person, &["#club"]);
    }
    all_is_well(&alice, &["@olga"]);
}

#[test]
fn openmls_founds_a_direct_chat_and_a_group_with_ours() {
    it_founds(Implementation::OpenMls);
}

#[test]
fn openmls_is_invited_by_ours_follows_and_brings_its_second_device() {
    it_is_invited(Implementation::OpenMls);
}

#[test]
fn ts_mls_founds_a_direct_chat_and_a_group_with_ours() {
    it_founds(Implementation::TsMls);
}

#[test]
fn ts_mls_is_invited_by_ours_follows_and_brings_its_second_device() {
    it_is_invited(Implementation::TsMls);
}

#[test]
fn a_group_info_of_ts_mls_as_it_is_lets_nobody_in_and_says_why_until_somebody_else_commits() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let mut olga = foreigner(&people, "olga", Implementation::TsMlsUnmended);
    let team = olga.found_group("team", &["alice", "bob"]).unwrap();
    olga.say(team, "hi all").unwrap();
    assert_eq!(alice.hears(1).len(), 1);
    assert_eq!(bob.hears(1).len(), 1);

    let tablet = people.another_device_of(&alice, "alices-tablet");
    tablet.ok(&["login", "alice", "--device-name", "tablet"]);
    let told = eventually("a sentence about it", || {
        let lines = tablet.ok(&["history", &by_id(team), "--all", "--offline"]);
        lines.iter().find(|line| line["type"] == "unreadable").cloned()
    });
    let told = told.to_string();
    assert!(told.contains("left no way in") && told.contains("online can add it"), "{told}");
    // Who sends adds it first.
    bob.says("#team", "you too");
    assert_eq!(texts(&tablet.hears(1)), ["you too"]);
}
