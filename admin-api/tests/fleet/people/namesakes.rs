//! Two members of a group who go by one name.

use super::{People, impostor::Impostor, liar::lie, texts};
use fastchat_wire::Op;
use serde_json::{Value, json};

#[test]
fn of_two_members_with_one_name_the_false_one_is_named_by_id_and_removed() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    // Carol's account, under bob's name: nobody but its owner has signed what an account calls itself.
    let carol = people.newcomer("carol");
    let mut false_bob = carol.ok(&["register", "carol"]).remove(0);
    false_bob["username"] = json!("bob");
    let account = false_bob["account"].clone();
    let by_id = format!("@bob/{}", &account.as_str().expect("an id")[24..]);
    let mut impostor = Impostor::of(&false_bob, None);
    let liar = people.lied_to(lie(move |mut told| match told.answers {
        Some(Op::Lookup) if told.header["username"] == "bob" => {
            (told.header["account"], told.header["identity"]) = (account.clone(), impostor.identity());
            told.header["devices"] = json!([]);
            vec![told]
        }
        Some(Op::KeysClaim) => vec![told.replaced(impostor.claimed())],
        _ => vec![told],
    }));
    let mallory = people.newcomer("mallory").with_balancer(liar.balancer());
    mallory.ok(&["register", "mallory"]);
    alice.says("@bob", "I know you");
    alice.ok(&["group", "create", "team", "@mallory"]);
    alice.ok(&["group", "promote", "#team", "@mallory"]);
    mallory.ok(&["group", "add", "#team", "@bob"]);

    let disputed = |members: &[Value]| members.iter().filter(|member| member["disputed"] == true).count();
    let one = alice.ok(&["group", "members", "#team"]);
    assert_eq!(disputed(&one), 1, "the only @bob in it is not whom alice knows: {one:?}");
    let refused = alice.run(&["group", "remove", "#team", "@bob"]).refused_with("ambiguous");
    assert!(refused.error().1.contains(&by_id), "it says how to name him: {refused}");

    alice.ok(&["group", "add", "#team", "@bob"]);
    assert_eq!(alice.members("#team"), ["alice", "bob", "bob", "mallory"]);
    let both = alice.ok(&["group", "members", "#team"]);
    assert_eq!(disputed(&both), 2, "{both:?}");
    let shown = alice.command_for_people(&["group", "members", "#team"]).output().expect("it runs");
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert!(shown.contains(&by_id), "people see the id, too: {shown}");
    alice.run(&["send", "#team", "for bob alone"]).refused_with("identity-changed");

    alice.ok(&["group", "remove", "#team", &by_id]);
    let left = alice.ok(&["group", "members", "#team"]);
    assert_eq!(
        (alice.members("#team"), disputed(&left)),
        (["alice", "bob", "mallory"].map(str::to_owned).to_vec(), 0)
    );
    alice.says("#team", "for bob alone");
    assert_eq!(texts(&bob.hears(2)), ["I know you", "for bob alone"]);
}
