//! Who is online, as people are told.

use super::{People, eventually};

#[test]
fn people_with_a_direct_chat_see_each_other_come_and_go_and_strangers_do_not() {
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    alice.says("@bob", "are you there?");
    let online = |of: &str| {
        let lines = alice.ok(&["presence", of]);
        assert_eq!((lines.len(), &lines[0]["name"]), (1, &of.into()));
        lines[0]["online"].as_bool().expect("true or false")
    };
    eventually("bob is offline", || (!online("@bob")).then_some(()));
    let listening = bob.start(&["listen"]);
    listening.wait_for_text("are you there?");
    eventually("bob is online", || online("@bob").then_some(()));
    assert_eq!(alice.ok(&["presence"]).len(), 1, "everybody with a direct chat");
    listening.kill();
    eventually("bob is gone", || (!online("@bob")).then_some(()));
    alice.run(&["presence", "@carol"]).refused_with("not-found");
    carol.run(&["presence", "@alice"]).refused_with("not-found");
    assert!(carol.ok(&["presence"]).is_empty());
}
