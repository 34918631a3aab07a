//! A server that lies about who is who: each lie is caught, told in a sentence, and nothing is sealed for the liar.

use super::{
    People, alarms,
    impostor::Impostor,
    liar::{Told, lie},
    raw_device::RawDevice,
    running::Running,
    texts,
};
use bytes::Bytes;
use fastchat_wire::Op;
use serde_json::{Value, json};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

/// A change of what a server says.
type Change = Box<dyn FnMut(&mut Told) + Send>;

/// What says to whom it may concern that a person is needed.
#[track_caller]
fn says_what_to_do(message: &str, name: &str) {
    assert!(message.contains(name), "names them: {message}");
    let does = ["fastchat verify", "on't trust"].iter().any(|advice| message.contains(advice));
    assert!(does, "and says what to do: {message}");
}

#[test]
fn who_is_given_another_identity_by_the_directory_alone_is_not_written_to() {
    let people = People::meet();
    let (bob, alice) = (people.newcomer("bob"), people.newcomer("alice"));
    let impostor = Impostor::of(&bob.ok(&["register", "bob"])[0], None);
    let liar = people.lied_to(lie(move |mut told| {
        if told.answers == Some(Op::Lookup) && told.header["username"] == "bob" {
            told.header["identity"] = impostor.identity();
        }
        vec![told]
    }));
    let alice = alice.with_balancer(liar.balancer());
    alice.ok(&["register", "alice"]);
    let refused = alice.run(&["send", "@bob", "for bob alone"]).refused_with("bad-account");
    says_what_to_do(&refused.error().1, "@bob");
    bob.hears_nothing_more();
}

#[test]
fn who_comes_with_another_identity_than_the_pinned_one_is_not_written_to() {
    let people = People::meet();
    let bob = people.newcomer("bob");
    let mut impostor = Impostor::of(&bob.ok(&["register", "bob"])[0], None);
    let lies = Arc::new(AtomicBool::new(true));
    let lying = Arc::clone(&lies);
    let liar = people.lied_to(lie(move |told| match told.answers {
        Some(Op::KeysClaim) if lying.load(Ordering::Relaxed) => vec![told.replaced(impostor.claimed())],
        _ => vec![told],
    }));
    let alice = people.newcomer("alice").with_balancer(liar.balancer());
    alice.ok(&["register", "alice"]);
    let refused = alice.run(&["send", "@bob", "for bob alone"]).refused_with("identity-changed");
    says_what_to_do(&refused.error().1, "@bob");
    bob.hears_nothing_more();
    lies.store(false, Ordering::Relaxed);
    alice.says("@bob", "after that");
    assert_eq!(texts(&bob.hears(1)), ["after that"]);
}

#[test]
fn whom_the_directory_knows_otherwise_than_their_group_is_not_written_to_until_they_are_accepted() {
    let people = People::meet();
    let bob = people.newcomer("bob");
    let impostor = Impostor::of(&bob.ok(&["register", "bob"])[0], None);
    let liar = people.lied_to(lie(move |mut told| {
        if told.answers == Some(Op::Lookup) && told.header["username"] == "bob" {
            told.header["identity"] = impostor.identity();
        }
        vec![told]
    }));
    let alice = people.newcomer("alice").with_balancer(liar.balancer());
    alice.ok(&["register", "alice"]);
    bob.ok(&["group", "create", "team", "@alice"]);
    bob.says("#team", "who am I?");
    let refused = alice.run(&["send", "#team", "for bob alone"]).refused_with("identity-changed");
    says_what_to_do(&refused.error().1, "@bob");
    let told = alarms(&alice.ok(&["history", "#team"]));
    assert!(matches!(&told[..], [one] if one.contains("@bob")), "shown, once: {told:?}");
    assert_eq!(alice.ok(&["groups"])[0]["stopped_by"], json!(["bob"]));
    let shown = alice.run(&["verify", "@bob"]).exits(1);
    assert_eq!(
        (shown.error().0.as_str(), &shown.lines()[0]["claimed"]),
        ("identity-changed", &json!("doubted"))
    );

    // What both see is the same: it was the directory that lied.
    let number = bob.ok(&["verify", "@alice"])[0]["number"].as_str().expect("digits").to_owned();
    let wrong = "1".repeat(60);
    alice
        .run(&["verify", "@bob", "--accept", "--number", &wrong])
        .refused_with("number-differs");
    alice.run(&["send", "#team", "still not"]).refused_with("identity-changed");
    let accepted = alice.ok(&["verify", "@bob", "--accept", "--number", &number]);
    assert_eq!(accepted[0]["verified"], true);
    alice.says("#team", "for bob after all");
    assert_eq!(texts(&bob.hears(1)), ["for bob after all"]);
    assert_eq!(alice.ok(&["groups"])[0].get("stopped_by"), None);
}

#[test]
fn who_was_swapped_from_the_first_message_on_is_found_by_the_safety_number() {
    let people = People::meet();
    let bob = people.newcomer("bob");
    let mut impostor = Impostor::of(&bob.ok(&["register", "bob"])[0], None);
    let liar = people.lied_to(lie(move |mut told| match told.answers {
        Some(Op::Lookup) if told.header["username"] == "bob" => {
            told.header["identity"] = impostor.identity();
            told.header["devices"][0]["credential"] = impostor.credential();
            vec![told]
        }
        Some(Op::KeysClaim) => vec![told.replaced(impostor.claimed())],
        _ => vec![told],
    }));
    let alice = people.newcomer("alice").with_balancer(liar.balancer());
    alice.ok(&["register", "alice"]);
    alice.says("@bob", "nothing tells me that this is not bob");
    let number = bob.ok(&["verify", "@alice"])[0]["number"].as_str().expect("digits").to_owned();
    let refused = alice.run(&["verify", "@bob", "--number", &number]).refused_with("number-differs");
    assert!(refused.error().1.contains("somebody may stand between you"), "{refused}");
    assert_eq!(alice.ok(&["verify", "@bob"])[0]["verified"], false);
}

#[test]
fn two_whose_servers_are_honest_verify_each_other() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let shown = alice.run(&["verify", "@bob"]).succeeds();
    let number = shown[0]["number"].as_str().expect("digits");
    assert_eq!((number.len(), &shown[0]["verified"]), (71, &json!(false)));
    assert_eq!(bob.ok(&["verify", "@alice", "--number", number])[0]["verified"], true);
    bob.says("@alice", "verified?");
    let rooms = bob.ok(&["groups", "--direct"]);
    assert_eq!((&rooms[0]["name"], &rooms[0]["verified"]), (&json!("@alice"), &json!(true)));
    let text = bob.command_for_people(&["verify", "@alice"]).output().expect("it runs");
    let text = String::from_utf8(text.stdout).expect("text");
    assert_eq!(
        text.split_whitespace().collect::<Vec<_>>().join(" "),
        number,
        "digits alone where no terminal is"
    );
    alice.run(&["verify", "@nobody"]).refused_with("not-found");
    alice.run(&["verify", "@alice"]).exits(2);
}

#[test]
fn a_device_of_the_servers_own_is_not_let_in() {
    let people = People::meet();
    let bob = people.newcomer("bob");
    let registered = bob.ok(&["register", "bob"]).remove(0);
    let mut impostor = Impostor::of(&registered, Some("0198a1b2-0000-7000-8000-00000000beef"));
    let liar = people.lied_to(lie(move |mut told| {
        match told.answers {
            Some(Op::Members) => with_members(&mut told, |members| {
                let bob = members.iter_mut().find(|member| member["username"] == "bob");
                let devices = bob.and_then(|bob| bob["devices"].as_array_mut());
                devices.into_iter().for_each(|devices| devices.push(json!(impostor.device)));
            }),
            // Whoever is asked for: the one that the server would like to see in.
            Some(Op::KeysClaim) if told.header.get("error").is_some() || told.pieces.len() < 2 => {
                return vec![told.replaced(impostor.claimed())];
            }
            _ => {}
        }
        vec![told]
    }));
    let alice = people.newcomer("alice").with_balancer(liar.balancer());
    alice.ok(&["register", "alice"]);
    alice.ok(&["group", "create", "team", "@bob"]);
    alice.says("#team", "for bob alone");
    alice.says("#team", "and again");
    assert_eq!(texts(&bob.hears(2)), ["for bob alone", "and again"]);
    let members = alice.ok(&["group", "members", "#team"]);
    assert!(members.iter().all(|member| member["devices"] == 1), "{members:?}");
    let told = alarms(&alice.ok(&["history", "#team"]));
    assert_eq!(told.len(), 1, "told once: {told:?}");
    says_what_to_do(&told[0], "@bob");
}

#[test]
fn a_member_of_the_servers_own_reads_nothing_and_is_told() {
    let people = People::meet();
    let [bob] = people.registered(["bob"]);
    let liar = people.lied_to(lie(|mut told| {
        if told.answers == Some(Op::Members) {
            with_members(&mut told, |members| {
                let mut eve = members[0].clone();
                eve["account"] = json!("ffffffff-0000-7000-8000-00000000beef");
                eve["username"] = json!("eve");
                members.push(eve);
            });
        }
        vec![told]
    }));
    let alice = people.newcomer("alice").with_balancer(liar.balancer());
    alice.ok(&["register", "alice"]);
    alice.ok(&["group", "create", "team", "@bob"]);
    alice.says("#team", "for bob alone");
    alice.says("#team", "and again");
    assert_eq!(texts(&bob.hears(2)), ["for bob alone", "and again"]);
    assert_eq!(alice.members("#team"), ["alice", "bob"]);
    let told = alarms(&alice.ok(&["history", "#team"]));
    assert_eq!(told.len(), 1, "told once: {told:?}");
    says_what_to_do(&told[0], "@eve");
}

#[test]
fn who_joins_by_itself_and_may_not_is_ignored_and_told() {
    let people = People::meet();
    let bob = people.newcomer("bob");
    let registered = bob.ok(&["register", "bob"]).remove(0);
    let eve = people.newcomer("eve").ok(&["register", "eve"]).remove(0);
    let forged: Arc<Mutex<Option<(u64, Bytes)>>> = Arc::default();
    let forging = Arc::clone(&forged);
    let liar = people.lied_to(lie(move |mut told| {
        let forged = forging.lock().expect("nobody panics with it").clone();
        if let Some((_, commit)) = forged.filter(|(seq, _)| told.is_entry() && told.seq() == Some(*seq)) {
            let header = told.header.as_object_mut().expect("a header is an object");
            header.insert("kind".to_owned(), json!("commit"));
            header.insert("epoch".to_owned(), json!(1));
            header.remove("from");
            header.remove("device");
            told.pieces = vec![commit];
        }
        vec![told]
    }));
    let alice = people.newcomer("alice").with_balancer(liar.balancer());
    alice.ok(&["register", "alice"]);
    alice.ok(&["group", "create", "team", "@bob"]);
    let log = alice.says("#team", "one")["conversation"]
        .as_str()
        .expect("a conversation")
        .to_owned();
    bob.hears(1);
    let mut raw = RawDevice::of(&people, &bob, registered["device"].as_str().expect("a device"));
    let group_info = raw.group_info(&log);
    // A stranger; and somebody who says to be another device of bob's.
    let joiners = [
        Impostor::of(&eve, None),
        Impostor::of(&registered, Some("0198a1b2-0000-7000-8000-00000000beef")),
    ];
    for joiner in joiners {
        let seq = bob.says("#team", "in the place of this alice is shown a commit")["seq"]
            .as_u64()
            .expect("a number");
        *forged.lock().expect("nobody panics with it") = Some((seq, joiner.external_commit(&group_info)));
        let lines = alice.ok(&["history", "#team"]);
        let ignored = lines.iter().find(|line| line["type"] == "unreadable" && line["seq"] == seq);
        let cause = ignored.unwrap_or_else(|| panic!("not told: {lines:?}"))["cause"]
            .as_str()
            .expect("a sentence");
        assert!(cause.contains("was ignored"), "{cause}");
    }
    assert_eq!(alice.members("#team"), ["alice", "bob"]);
    bob.says("#team", "we go on");
    assert_eq!(texts(&alice.hears(1)), ["we go on"]);
}

#[test]
fn a_keyring_of_another_version_or_another_account_does_not_sign_in() {
    let people = People::meet();
    let [bob, mallory] = people.registered(["bob", "mallory"]);
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let watching = people.lied_to(lie(move |told| {
        if told.answers == Some(Op::Login) {
            *keep.lock().expect("nobody panics with it") = Some(told.pieces.clone());
        }
        vec![told]
    }));
    people
        .another_device_of(&mallory, "mallory-2")
        .with_balancer(watching.balancer())
        .ok(&["login", "mallory"]);
    let mallorys = kept.lock().expect("nobody panics with it").clone().expect("a keyring");
    let lies: [Change; 2] = [
        Box::new(|told| told.header["keyring-version"] = json!(7)),
        Box::new(move |told| told.pieces = mallorys.clone()),
    ];
    for (i, mut change) in lies.into_iter().enumerate() {
        let liar = people.lied_to(lie(move |mut told| {
            if told.answers == Some(Op::Login) {
                change(&mut told);
            }
            vec![told]
        }));
        let device = people.another_device_of(&bob, &format!("bob-{i}"));
        let refused = device
            .with_balancer(liar.balancer())
            .run(&["login", "bob"])
            .refused_with("bad-keyring");
        assert!(refused.error().1.len() > 40, "{refused}");
    }
    // The truth still signs in.
    people.another_device_of(&bob, "bob-true").ok(&["login", "bob"]);
}

#[test]
fn a_keyring_from_before_the_password_was_changed_does_not_sign_in() {
    let people = People::meet();
    let [bob] = people.registered(["bob"]);
    // The first keyring that it gives is the only one that it gives.
    let mut kept = None;
    let liar = people.lied_to(lie(move |mut told| {
        if told.answers == Some(Op::Login) && told.header.get("error").is_none() {
            let (version, pieces) = kept.get_or_insert_with(|| (told.header["keyring-version"].clone(), told.pieces.clone()));
            told.header["keyring-version"] = version.clone();
            told.pieces = pieces.clone();
        }
        vec![told]
    }));
    let device = |name: &str| people.another_device_of(&bob, name).with_balancer(liar.balancer());
    device("bob-before").ok(&["login", "bob"]);
    let mut command = bob.command(&["password"]);
    command.env("FASTCHAT_NEW_PASSWORD", "another good one");
    Running::start(command).finish().succeeds();

    let after = device("bob-after").with_password("another good one");
    let refused = after.run(&["login", "bob"]).refused_with("bad-keyring");
    assert!(refused.error().1.len() > 40, "{refused}");
    let honest = people.another_device_of(&bob, "bob-true").with_password("another good one");
    honest.ok(&["login", "bob"]);
}

/// Changes the server's list of members.
fn with_members(told: &mut Told, change: impl FnOnce(&mut Vec<Value>)) {
    let Some(mut members) = told
        .pieces
        .first()
        .and_then(|block| serde_json::from_slice::<Vec<Value>>(block).ok())
    else {
        return;
    };
    if !members.is_empty() {
        change(&mut members);
        told.pieces = vec![json!(members).to_string().into()];
    }
}
