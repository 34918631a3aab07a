//! A server that lies about what was said: each lie is caught and told in a sentence, and the rest goes on.

use super::{
    People, alarms,
    liar::{Told, lie},
    noise,
    person::Person,
    text_of, texts,
};
use fastchat_wire::Op;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

fn everything(person: &Person, of: &str) -> Vec<Value> {
    person.ok(&["history", of, "--all"])
}

/// Messages only: what people say, not what makes them able to.
fn is_message(told: &Told) -> bool {
    told.is_entry() && told.header["kind"] == "app"
}

#[test]
fn what_is_replayed_is_heard_once() {
    let people = People::meet();
    let [bob] = people.registered(["bob"]);
    let liar = people.lied_to(lie(|told| match told.is_entry() && told.header.get("re").is_none() {
        true => vec![told.clone(), told.clone(), told],
        false => vec![told],
    }));
    let alice = people.newcomer("alice").with_balancer(liar.balancer());
    alice.ok(&["register", "alice"]);
    bob.says("@alice", "before");
    assert_eq!(texts(&alice.hears(1)), ["before"]);
    let terminal = alice.start(&["listen"]);
    for text in ["one", "two", "three"] {
        bob.says("@alice", text);
    }
    terminal.wait_for_text("three");
    assert_eq!(texts(&terminal.kill().lines()), ["one", "two", "three"]);
    assert_eq!(texts(&alice.history("@bob")), ["before", "one", "two", "three"]);
    assert_eq!(alarms(&everything(&alice, "@bob")), [""; 0]);
}

#[test]
fn an_old_message_under_a_new_number_is_not_said_again() {
    let people = People::meet();
    let [bob] = people.registered(["bob"]);
    let at = Arc::new(AtomicU64::new(u64::MAX));
    let order = Arc::clone(&at);
    let mut kept = None::<Told>;
    let liar = people.lied_to(lie(move |mut told| {
        let at = order.load(Ordering::Relaxed);
        if is_message(&told) && told.seq() == Some(at) {
            kept = Some(told.clone());
        } else if let (Some(first), true) = (&kept, is_message(&told) && told.seq() > Some(at)) {
            // Everything that is said later becomes what was said then.
            told.pieces = first.pieces.clone();
            told.header["entry"] = first.header["entry"].clone();
        }
        vec![told]
    }));
    let alice = people.newcomer("alice").with_balancer(liar.balancer());
    alice.ok(&["register", "alice"]);
    let pay = bob.says("@alice", "pay eve 100");
    at.store(pay["seq"].as_u64().expect("a number"), Ordering::Relaxed);
    assert_eq!(texts(&alice.hears(1)), ["pay eve 100"]);
    bob.says("@alice", "that was all");
    alice.hears_nothing_more();
    let lines = everything(&alice, "@bob");
    assert_eq!(texts(&lines), ["pay eve 100"], "said once");
    let unreadable = lines.iter().find(|line| line["type"] == "unreadable");
    let cause = unreadable.and_then(|line| line["cause"].as_str());
    assert!(cause.is_some_and(|cause| cause.len() > 40), "said in a sentence: {lines:?}");
}

#[test]
fn what_is_dropped_or_shown_to_one_and_not_to_the_other_is_told_to_both() {
    let people = People::meet();
    let [alice] = people.registered(["alice"]);
    let gone = Arc::new(AtomicU64::new(u64::MAX));
    let dropped = Arc::clone(&gone);
    let liar = people.lied_to(lie(move |mut told| {
        without(&mut told, dropped.load(Ordering::Relaxed))
            .then_some(told)
            .into_iter()
            .collect()
    }));
    let bob = people.newcomer("bob").with_balancer(liar.balancer());
    bob.ok(&["register", "bob"]);
    alice.says("@bob", "one");
    assert_eq!(texts(&bob.hears(1)), ["one"]);
    let two = alice.says("@bob", "two, which bob is not to see");
    gone.store(two["seq"].as_u64().expect("a number"), Ordering::Relaxed);
    alice.says("@bob", "three");
    let heard = bob.hears(1);
    assert_eq!(texts(&heard), ["three"]);
    assert!(
        matches!(&alarms(&heard)[..], [one] if one.contains("different histories") && one.contains("don't trust this server")),
        "with the message itself: {heard:?}"
    );
    bob.says("@alice", "four");
    let heard = alice.hears(1);
    assert_eq!(texts(&heard), ["four"]);
    assert!(
        matches!(&alarms(&heard)[..], [one] if one.contains("different histories")),
        "{heard:?}"
    );
}

/// The direct chat's log as if one entry had never been: later ones move up. False for that entry itself.
fn without(told: &mut Told, gone: u64) -> bool {
    let shift = |value: &mut Value, from: u64| {
        if let Some(seq) = value.as_u64().filter(|seq| *seq >= from) {
            *value = (seq - 1).into();
        }
    };
    if told.is_entry() && told.header["kind"] != "welcomed" {
        if told.seq() == Some(gone) {
            return false;
        }
        shift(&mut told.header["seq"], gone);
    }
    match told.answers {
        Some(Op::Fetch) => shift(&mut told.header["last-seq"], gone),
        Some(Op::Append | Op::Commit) => shift(&mut told.header["seq"], gone),
        Some(Op::Conversations) => {
            let listed = told
                .pieces
                .first()
                .and_then(|block| serde_json::from_slice::<Vec<Value>>(block).ok());
            if let Some(mut listed) = listed.filter(|listed| !listed.is_empty()) {
                listed.iter_mut().for_each(|one| shift(&mut one["last-seq"], gone));
                told.pieces = vec![json!(listed).to_string().into()];
            }
        }
        _ => {}
    }
    true
}

#[test]
fn what_is_reordered_is_told() {
    let people = People::meet();
    let [alice] = people.registered(["alice"]);
    let pair = Arc::new(AtomicU64::new(u64::MAX));
    let first = Arc::clone(&pair);
    let mut held = None::<Told>;
    let liar = people.lied_to(lie(move |told| {
        let at = first.load(Ordering::Relaxed);
        if is_message(&told) && told.seq() == Some(at) {
            held = Some(told);
            return Vec::new();
        }
        match held.take() {
            Some(mut earlier) if is_message(&told) && told.seq() == Some(at + 1) => {
                let mut later = told;
                (later.header["seq"], earlier.header["seq"]) = (at.into(), (at + 1).into());
                vec![later, earlier]
            }
            Some(earlier) => vec![earlier, told],
            None => vec![told],
        }
    }));
    let bob = people.newcomer("bob").with_balancer(liar.balancer());
    bob.ok(&["register", "bob"]);
    alice.says("@bob", "shall I?");
    assert_eq!(texts(&bob.hears(1)), ["shall I?"]);
    let yes = alice.says("@bob", "to the first question: yes");
    pair.store(yes["seq"].as_u64().expect("a number"), Ordering::Relaxed);
    alice.says("@bob", "to the second question: no");
    alice.says("@bob", "clear?");
    let told = alarms(&bob.hears(2));
    assert!(told.iter().any(|alarm| alarm.contains("different histories")), "{told:?}");
    let lines = everything(&bob, "@alice");
    assert!(
        lines.iter().any(|line| line["type"] == "unreadable"),
        "what came too late is not passed over: {lines:?}"
    );
}

#[test]
fn a_message_under_anothers_name_is_shown_as_its_sealers() {
    let people = People::meet();
    let [alice] = people.registered(["alice"]);
    let eve = people.newcomer("eve");
    let registered = eve.ok(&["register", "eve"]).remove(0);
    let (account, device) = (registered["account"].clone(), registered["device"].clone());
    let liar = people.lied_to(lie(move |mut told| {
        if is_message(&told) {
            told.header["from"] = account.clone();
            told.header["device"] = device.clone();
        }
        vec![told]
    }));
    let bob = people.newcomer("bob").with_balancer(liar.balancer());
    bob.ok(&["register", "bob"]);
    alice.ok(&["group", "create", "team", "@bob", "@eve"]);
    alice.says("#team", "alice says so");
    let heard = bob.hears(1);
    assert_eq!((&heard[0]["from"], &heard[0]["text"]), (&json!("alice"), &json!("alice says so")));
    let told = alarms(&heard);
    assert!(matches!(&told[..], [one] if one.contains("Believe the seal")), "{told:?}");
    assert!(told[0].contains("@alice") && told[0].contains("@eve"), "by their names: {told:?}");
}

#[test]
fn a_changed_message_is_not_read_and_the_next_one_is() {
    let people = People::meet();
    let [alice] = people.registered(["alice"]);
    let at = Arc::new(AtomicU64::new(u64::MAX));
    let changed = Arc::clone(&at);
    let liar = people.lied_to(lie(move |mut told| {
        if is_message(&told) && told.seq() == Some(changed.load(Ordering::Relaxed)) {
            let mut block = told.pieces[0].to_vec();
            let last = block.len() - 1;
            block[last] ^= 1;
            told.pieces = vec![block.into()];
        }
        vec![told]
    }));
    let bob = people.newcomer("bob").with_balancer(liar.balancer());
    bob.ok(&["register", "bob"]);
    alice.says("@bob", "one");
    bob.hears(1);
    let two = alice.says("@bob", "two");
    at.store(two["seq"].as_u64().expect("a number"), Ordering::Relaxed);
    alice.says("@bob", "three");
    let heard = bob.hears(1);
    assert_eq!(texts(&heard), ["three"]);
    assert!(
        matches!(&alarms(&heard)[..], [one] if one.contains("different histories")),
        "{heard:?}"
    );
    let lines = everything(&bob, "@alice");
    let unreadable: Vec<&Value> = lines.iter().filter(|line| line["type"] == "unreadable").collect();
    assert!(
        matches!(&unreadable[..], [one] if one["seq"] == two["seq"] && one["cause"].is_string()),
        "{lines:?}"
    );
}

#[test]
fn a_truncated_file_is_not_saved() {
    let people = People::meet();
    let [alice] = people.registered(["alice"]);
    let cut = 70_000;
    let liar = people.lied_to(lie(move |mut told| {
        if told.answers == Some(Op::BlobGet) && told.header["size"].as_u64().is_some_and(|size| size > cut) {
            told.header["size"] = cut.into();
            let length = told.pieces[0].len().min(usize::try_from(cut).expect("it fits"));
            told.pieces = vec![told.pieces[0].slice(..length)];
        }
        vec![told]
    }));
    let bob = people.newcomer("bob").with_balancer(liar.balancer());
    bob.ok(&["register", "bob"]);
    let path = people.file("plan.bin", &noise(100_000, 3));
    alice.ok(&["send", "@bob", "--file", text_of(&path)]);
    let heard = bob.hears(1);
    let error = &heard[0]["file"]["error"];
    assert_eq!(error["code"], "file-damaged", "{heard:?}");
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 20), "{heard:?}");
    let saved = std::fs::read_dir(bob.downloads()).map_or(0, Iterator::count);
    assert_eq!(saved, 0, "nothing that only looks like it");
}
