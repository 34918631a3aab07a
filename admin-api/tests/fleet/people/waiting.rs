//! A fleet that asks its clients to come later: they wait as long as they are told to, and say so.

use super::{People, eventually};

#[test]
fn who_is_told_when_to_come_says_so_waits_and_comes() {
    let people = People::meet();
    let [alice, _bob] = people.registered(["alice", "bob"]);
    alice.says("@bob", "at once");
    people.limit(br#"{"server": {"resumes": {"per_s": 0.3, "burst": 1}}}"#);
    let told = eventually("a command that is told to wait", || {
        let sent = alice.run(&["send", "@bob", "later"]);
        assert_eq!(sent.code, Some(0), "it waits, and is done\n{sent}");
        let told = sent.notes().into_iter().find(|note| note.contains("the fleet asks to wait"));
        told.map(|note| (note, sent.lines().len()))
    });
    assert!(told.0.contains(" s: this goes on by itself"), "{}", told.0);
    assert_eq!(told.1, 1, "the message stands in its log");
}
