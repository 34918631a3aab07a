//! A device that is away while many want it.

use super::{People, of, texts};

/// More than the key packages that a device keeps published, several times over.
const GROUPS: usize = 100;

#[test]
fn a_hundred_groups_add_a_device_that_is_away_and_it_reads_what_was_said_in_each() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    for n in 0..GROUPS {
        alice.ok(&["group", "create", &format!("g{n}"), "@bob"]);
        alice.says(&format!("#g{n}"), &format!("text {n}"));
    }
    let heard = bob.hears(GROUPS);
    for n in 0..GROUPS {
        assert_eq!(texts(&of(&heard, &format!("#g{n}"))), [format!("text {n}")]);
    }
    // And it answers in the last one, which its last-resort package let it into.
    let last = format!("#g{}", GROUPS - 1);
    bob.says(&last, "here I am");
    assert_eq!(texts(&of(&alice.hears(1), &last)), ["here I am"]);
}
