//! Identities that are not what they were: told once, nothing is sent there, until a person accepts it or they are out.

use super::world::*;
use crate::{
    outbox::Outbox,
    problem::Problem,
    profile::{contacts, take},
    trust::{Standing, Why},
};
use fastchat_e2e::{
    AccountId, ConversationId, SafetyNumber, Username,
    content::Body,
    mls::{Intent, Kind},
};
use fastchat_wire::chat::entry::Change;

fn name(name: &str) -> Username {
    name.parse().unwrap()
}

fn standing(device: &Device, who: &str) -> Standing {
    device.profile.standing(&name(who)).unwrap()
}

/// Says something as a program does.
fn try_to_say(device: &Device, conversation: ConversationId, text: &str) -> Result<(), Problem> {
    device.profile.seal(conversation, vec![Body::text(text)], |_| Ok(())).map(drop)
}

fn stopped_by(device: &Device, conversation: ConversationId) -> Vec<Why> {
    let room = device.profile.room(conversation).unwrap().unwrap();
    room.stops.iter().map(|stop| stop.why).collect()
}

fn alarms(device: &Device) -> Vec<String> {
    device.records().into_iter().flat_map(|record| record.alarms).collect()
}

/// A group of mallory, who is its admin, alice and bob; alice knows bob by the fleet's word.
fn group() -> (Device, Device, Device, Log) {
    let [mallory, alice, bob] = ["mallory", "alice", "bob"].map(Device::new);
    let mut log = Log::new();
    mallory.found(log.id, Kind::Group, &[&alice, &bob]);
    log.send(&mallory);
    alice.read(&log);
    bob.read(&log);
    let identity = alice.profile.read(|tx| contacts::pin(tx, bob.account)).unwrap().unwrap().identity;
    let met = alice.profile.write(|tx| contacts::meet(tx, bob.account, &name("bob"), &identity));
    assert_eq!(met.unwrap(), None);
    (mallory, alice, bob, log)
}

/// Mallory takes bob out, and somebody in who has bob's account and name, and another identity.
fn swap(mallory: &Device, bob: &Device, log: &mut Log) -> Device {
    mallory.commit(log.id, &Intent::Remove(vec![bob.account]));
    log.send(mallory);
    let impostor = Device::of("bob", bob.account);
    mallory.add(log.id, &impostor);
    log.send(mallory);
    impostor
}

#[test]
fn a_changed_identity_is_told_once_and_stops_what_is_said_until_it_is_accepted() {
    let (mallory, alice, bob, mut log) = group();
    let before = standing(&alice, "bob").known.unwrap();
    alice.profile.verify(&name("bob"), &before.number).unwrap();
    assert!(standing(&alice, "bob").known.unwrap().verified);

    // Waits to be sent, and is for bob's eyes.
    let waiting = alice.say(log.id, "for bob alone");
    let impostor = swap(&mallory, &bob, &mut log);
    alice.read(&log);
    log.send(&alice);
    impostor.read(&log);
    assert_eq!(impostor.texts(log.id), [""; 0]);
    assert_eq!(self::waiting(&alice), [waiting], "kept, and not sent");
    assert_eq!(stopped_by(&alice, log.id), [Why::IdentityChanged]);
    let refused = try_to_say(&alice, log.id, "also for bob");
    assert!(
        matches!(&refused, Err(Problem::Distrusted(distrust)) if distrust.account == bob.account),
        "{refused:?}"
    );
    assert_eq!(code(refused), "identity-changed");

    let told = alarms(&alice);
    assert!(
        matches!(&told[..], [one] if one.contains("@bob") && one.contains("fastchat verify @bob --accept")),
        "{told:?}"
    );
    mallory.commit(log.id, &Intent::Renew);
    log.send(&mallory);
    alice.read(&log);
    assert_eq!(alarms(&alice).len(), 1, "told once");

    let claims = standing(&alice, "bob").claims;
    assert_eq!(claims.len(), 1);
    assert_ne!(claims[0].number, before.number);
    assert_eq!(code(alice.profile.accept(&name("bob"), &before.number, false)), "number-differs");
    alice.profile.accept(&name("bob"), &claims[0].number, false).unwrap();
    let known = standing(&alice, "bob").known.unwrap();
    assert_eq!((known.number, known.verified), (claims[0].number, false), "to be compared anew");
    assert!(stopped_by(&alice, log.id).is_empty());
    try_to_say(&alice, log.id, "after all").unwrap();
    log.send(&alice);
    impostor.read(&log);
    assert_eq!(impostor.texts(log.id), ["for bob alone", "after all"]);
}

#[test]
fn a_conversation_goes_on_once_who_is_distrusted_is_out_and_an_admin_can_still_remove_them() {
    let (mallory, alice, bob, mut log) = group();
    mallory.commit(log.id, &Intent::Appoint(vec![alice.account]));
    log.send(&mallory);
    alice.read(&log);
    swap(&mallory, &bob, &mut log);
    alice.read(&log);
    assert_eq!(code(try_to_say(&alice, log.id, "no")), "identity-changed");
    alice.commit(log.id, &Intent::Remove(vec![bob.account]));
    log.send(&alice);
    assert!(stopped_by(&alice, log.id).is_empty());
    try_to_say(&alice, log.id, "without them").unwrap();
    log.send(&alice);
    mallory.read(&log);
    assert_eq!(mallory.texts(log.id), ["without them"]);
}

#[test]
fn somebody_else_under_a_known_name_stops_their_conversation_and_no_other() {
    let (_mallory, alice, bob, log) = group();
    let second = Device::new("bob");
    let mut other = Log::new();
    second.found(other.id, Kind::Direct, &[&alice]);
    other.send(&second);
    alice.read(&other);
    assert_eq!(stopped_by(&alice, other.id), [Why::NameTaken]);
    assert_eq!(code(try_to_say(&alice, other.id, "no")), "identity-changed");
    try_to_say(&alice, log.id, "to whom I know").unwrap();
    let standing = standing(&alice, "bob");
    assert_eq!(
        standing.known.as_ref().unwrap().account,
        bob.account,
        "the name leads to whom it led to"
    );
    // Accepted, the name is the other one's, and whoever had it before is not asked about again.
    alice.profile.accept(&name("bob"), &standing.claims[0].number, true).unwrap();
    let known = self::standing(&alice, "bob").known.unwrap();
    assert!(known.account == second.account && known.verified);
    try_to_say(&alice, other.id, "yes").unwrap();
    try_to_say(&alice, log.id, "and yes").unwrap();
}

#[test]
fn somebody_whom_the_fleet_knows_otherwise_stops_every_conversation_with_them() {
    let [mallory, alice] = ["bob", "alice"].map(Device::new);
    let mut logs = [Log::new(), Log::new()];
    for (log, kind) in logs.iter_mut().zip([Kind::Direct, Kind::Group]) {
        mallory.found(log.id, kind, &[&alice]);
        log.send(&mallory);
        alice.read(log);
        try_to_say(&alice, log.id, "before the fleet was asked").unwrap();
        log.send(&alice);
    }
    let doubt = || alice.profile.change(|groups, tx| take::doubt(groups, tx, mallory.account, 1));
    doubt().unwrap();
    doubt().unwrap();
    assert_eq!(alarms(&alice).len(), 2, "one in each");
    for log in &logs {
        assert_eq!(stopped_by(&alice, log.id), [Why::Doubted]);
        assert_eq!(code(try_to_say(&alice, log.id, "no")), "identity-changed");
    }
    let claims = standing(&alice, "bob").claims;
    assert_eq!(claims.len(), 1, "one person");
    alice.profile.accept(&name("bob"), &claims[0].number, false).unwrap();
    for log in &logs {
        try_to_say(&alice, log.id, "yes").unwrap();
    }
}

#[test]
fn a_conversation_that_is_over_stops_nothing_any_more() {
    let (mallory, alice, bob, mut log) = group();
    swap(&mallory, &bob, &mut log);
    alice.read(&log);
    assert_eq!(standing(&alice, "bob").claims.len(), 1);
    log.members(&[(alice.account, Change::Left)]);
    alice.read(&log);
    assert!(standing(&alice, "bob").claims.is_empty());
    assert!(stopped_by(&alice, log.id).is_empty());
}

#[test]
fn numbers_of_both_sides_are_the_same_where_nobody_is_between_them() {
    let (_, alice, bob, _) = group();
    let meet = |device: &Device, other: &Device, who: &str| {
        let identity = other.profile.read(crate::profile::identity::credential).unwrap().unwrap();
        let identity = identity.subject().identity_key;
        let met = device.profile.write(|tx| contacts::meet(tx, other.account, &name(who), &identity));
        met.unwrap();
        standing(device, who).known.unwrap()
    };
    let (seen_by_alice, seen_by_bob) = (meet(&alice, &bob, "bob"), meet(&bob, &alice, "alice"));
    assert_eq!(seen_by_alice.number, seen_by_bob.number);
    let other: SafetyNumber = "1".repeat(60).parse().unwrap();
    assert_eq!(code(alice.profile.verify(&name("bob"), &other)), "number-differs");
    assert_eq!(code(alice.profile.verify(&name("nobody"), &other)), "not-found");
    assert!(!standing(&alice, "bob").known.unwrap().verified);
    assert_eq!(standing(&alice, "nobody"), Standing::default());
}

#[test]
fn a_stop_outlives_the_process() {
    let (mallory, alice, bob, mut log) = group();
    swap(&mallory, &bob, &mut log);
    alice.read(&log);
    let again = alice.another_process();
    let refused = again.seal(log.id, vec![Body::text("no")], |_| Ok(()));
    assert_eq!(code(refused), "identity-changed");
    assert!(again.first(crate::ids::Expose::wire(log.id), 64, 1 << 20).unwrap().is_empty());
    let account: Option<AccountId> = again.read(|tx| contacts::account(tx, &name("bob"))).unwrap();
    assert_eq!(account, Some(bob.account));
}
