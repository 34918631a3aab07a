//! Commits that some can't apply: nobody is stuck, and nobody is led into another group.

use crate::{
    hostile::{Scene, scene_with, time},
    spoiler::{Spoils, spoiler},
    world::*,
};
use fastchat_e2e::{
    groups::{Cause, Entering, Error, Received, Stranding, What},
    log::KIND_COMMIT,
    mls::{GroupError, Intent, Kind},
};
use mls_rs::client_builder::MlsConfig;

fn group() -> (Scene<impl MlsConfig>, Spoils) {
    let spoils = Spoils::default();
    let scene = scene_with(Kind::Group, false, |credential, key| spoiler(credential, key, &spoils));
    (scene, spoils)
}

/// Mallory renews her keys; her GroupInfo is a good one.
fn renews<C: MlsConfig>(scene: &mut Scene<C>) {
    let made = scene.group.commit_builder().commit_time(time()).build().unwrap();
    scene.group.apply_pending_commit().unwrap();
    let epoch = scene.log.epoch;
    let commit = made.commit_message.to_bytes().unwrap();
    scene.log.push(entry_id(), KIND_COMMIT, Some(scene.me), Some(epoch), commit);
    scene.log.epoch += 1;
    scene.log.group_info = made.external_commit_group_info.unwrap().to_bytes().unwrap();
}

/// Something that is no commit of anybody, with a GroupInfo of mallory's own.
fn spams<C: MlsConfig>(scene: &mut Scene<C>) {
    let (log, group) = (scene.log.clone(), scene.group.clone());
    renews(scene);
    let foreign = std::mem::replace(&mut scene.log, log).group_info;
    scene.group = group;
    let epoch = scene.log.epoch;
    scene
        .log
        .push(entry_id(), KIND_COMMIT, Some(scene.me), Some(epoch), b"rubbish".to_vec());
    scene.log.epoch += 1;
    scene.log.group_info = foreign;
}

fn strandings(received: &[Received]) -> usize {
    received.iter().filter(|one| matches!(one.what, What::Stranded { .. })).count()
}

fn is_stranded(device: &Device, scene: &Scene<impl MlsConfig>) -> bool {
    let stranding = device.store.read(|tx| device.groups.stranding(tx, scene.chat));
    stranding.unwrap().is_some()
}

/// Comes in again from where the log is.
fn comes_back(device: &mut Device, chat: fastchat_e2e::ConversationId, log: &mut Log) {
    let entering = device.enter(chat, log).unwrap();
    assert!(matches!(log.take_entering(device.me(), &entering), Answer::Seq(_)));
    assert!(!device.entered(chat, 1), "taken from the log, in its place");
    device.sync(chat, log);
}

/// What waits is sealed again and sent; others open it.
fn says_what_waited(device: &mut Device, chat: fastchat_e2e::ConversationId, log: &mut Log) {
    for out in device.store.read(|tx| device.groups.pending(tx)).unwrap() {
        device.store.write(|tx| device.groups.reseal(tx, chat, out.entry)).unwrap();
    }
    assert!(device.send(log).iter().all(|(_, answer)| matches!(answer, Answer::Seq(_))));
}

#[test]
fn whose_secrets_a_commit_spoils_comes_in_again_and_the_others_just_go_on() {
    let (mut scene, spoils) = group();
    spoils.next(1);
    renews(&mut scene);
    let log = scene.log.clone();
    let [of_alice, of_bob] = [&mut scene.alice, &mut scene.bob].map(|device| device.sync(scene.chat, &log));
    assert_eq!(
        strandings(&of_alice) + strandings(&of_bob),
        1,
        "one of the two: {of_alice:?} {of_bob:?}"
    );
    let (chat, is_alice) = (scene.chat, is_stranded(&scene.alice, &scene));
    let Scene {
        mut alice,
        mut bob,
        mut log,
        ..
    } = scene;
    let (lost, well) = if is_alice { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };

    // What is said meanwhile waits; what others say then is lost to it.
    lost.say(chat, "said while stranded");
    assert!(matches!(lost.commit(chat, &Intent::Renew), Err(Error::Stranded)));
    well.say(chat, "not for everybody");
    well.send(&mut log);
    let got = lost.sync(chat, &log);
    assert!(matches!(got[0].what, What::Unreadable { cause: Cause::Stranded }), "{got:?}");
    comes_back(lost, chat, &mut log);
    says_what_waited(lost, chat, &mut log);
    assert_eq!(texts(&well.sync(chat, &log)), ["said while stranded"]);
    well.say(chat, "welcome back");
    well.send(&mut log);
    let got = lost.sync(chat, &log);
    assert_eq!(texts(&got), ["welcome back"]);
    assert!(
        got.iter().all(|one| one.alarms.is_empty()),
        "it never lost sight of the log: {got:?}"
    );
    assert_eq!(lost.accounts(chat).len(), 3);
}

#[test]
fn where_a_commit_opens_for_nobody_all_come_in_again_one_after_the_other() {
    let (mut scene, spoils) = group();
    spoils.next(usize::MAX);
    renews(&mut scene);
    spoils.next(0);
    let chat = scene.chat;
    let Scene {
        mut alice,
        mut bob,
        mut log,
        ..
    } = scene;
    for device in [&mut alice, &mut bob] {
        assert_eq!(strandings(&device.sync(chat, &log)), 1);
    }
    // Both at once: the one who is overtaken watches the other come in, and follows.
    let (first, second) = (alice.enter(chat, &log).unwrap(), bob.enter(chat, &log).unwrap());
    assert!(matches!(log.take_entering(alice.me(), &first), Answer::Seq(_)));
    assert_eq!(log.take_entering(bob.me(), &second), Answer::EpochConflict);
    alice.sync(chat, &log);
    assert!(bob.store.write(|tx| bob.groups.give_up_entering(tx, chat)).unwrap());
    assert!(matches!(bob.enter(chat, &log), Err(Error::OtherGroup)), "not before it was read");
    assert!(matches!(bob.sync(chat, &log)[0].what, What::Watched));
    comes_back(&mut bob, chat, &mut log);
    alice.sync(chat, &log);
    alice.say(chat, "here");
    alice.send(&mut log);
    assert_eq!(texts(&bob.sync(chat, &log)), ["here"]);
    bob.say(chat, "here, too");
    bob.send(&mut log);
    assert_eq!(texts(&alice.sync(chat, &log)), ["here, too"]);
}

#[test]
fn nobody_comes_in_again_by_group_information_that_the_log_does_not_lead_to() {
    let (mut scene, spoils) = group();
    let old = scene.log.group_info.clone();
    spoils.next(usize::MAX);
    renews(&mut scene);
    let good = std::mem::replace(&mut scene.log.group_info, old);
    let chat = scene.chat;
    let Scene { mut alice, mut log, .. } = scene;
    alice.sync(chat, &log);
    assert!(matches!(alice.enter(chat, &log), Err(Error::OtherGroup)));
    log.group_info = b"rubbish".to_vec();
    assert!(matches!(alice.enter(chat, &log), Err(Error::Group(GroupError::Unexpected(_)))));
    let mut alice = alice.restart();
    log.group_info = good;
    let entering: Entering = alice.enter(chat, &log).unwrap();
    // Killed between sending and the answer: the same again.
    log.take_entering(alice.me(), &entering);
    let mut alice = alice.restart();
    assert_eq!(alice.enter(chat, &log).unwrap(), entering);
    alice.sync(chat, &log);
    assert_eq!(alice.accounts(chat).len(), 3);
    assert!(matches!(alice.enter(chat, &log), Err(Error::Exists(_))));
}

#[test]
fn where_nobody_gives_a_way_in_one_makes_its_own_and_all_come_in_after_it() {
    let (mut scene, spoils) = group();
    let old = scene.log.group_info.clone();
    spoils.next(1);
    renews(&mut scene);
    spoils.next(0);
    scene.log.group_info = old;
    let chat = scene.chat;
    let log = scene.log.clone();
    for device in [&mut scene.alice, &mut scene.bob] {
        device.sync(chat, &log);
    }
    let is_alice = is_stranded(&scene.alice, &scene);
    let Scene {
        mut alice,
        mut bob,
        mut log,
        ..
    } = scene;
    let (lost, well) = if is_alice { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
    let begun_anew = |device: &mut Device, log: &Log| {
        let epoch = log.epoch;
        device.store.write(|tx| device.groups.enter_anew(tx, chat, entry_id(), epoch))
    };
    assert!(matches!(lost.enter(chat, &log), Err(Error::OtherGroup)));
    assert!(matches!(begun_anew(well, &log), Err(Error::NoWay)), "who is in has no need");
    well.say(chat, "sealed before");
    let entering = begun_anew(lost, &log).unwrap();
    assert!(matches!(log.take_entering(lost.me(), &entering), Answer::Seq(_)));
    assert!(matches!(lost.sync(chat, &log)[0].what, What::Commit { .. }));
    // To whoever was in, that is one more commit that does not open: it follows.
    assert_eq!(strandings(&well.sync(chat, &log)), 1);
    comes_back(well, chat, &mut log);
    says_what_waited(well, chat, &mut log);
    assert_eq!(texts(&lost.sync(chat, &log)), ["sealed before"]);
    lost.say(chat, "one group again");
    lost.send(&mut log);
    assert_eq!(texts(&well.sync(chat, &log)), ["one group again"]);
}

#[test]
fn who_is_removed_while_it_can_not_follow_is_out_and_keeps_nothing() {
    let (mut scene, spoils) = group();
    let chat = scene.chat;
    scene.alice.commit(chat, &Intent::Appoint(vec![scene.me.account])).unwrap();
    scene.alice.send(&mut scene.log);
    let commit = scene.log.entries.last().unwrap().block.clone();
    let commit = mls_rs::MlsMessage::from_bytes(&commit).unwrap();
    scene.group.process_incoming_message(commit).unwrap();
    let log = scene.log.clone();
    for device in [&mut scene.alice, &mut scene.bob] {
        device.sync(chat, &log);
    }
    spoils.next(usize::MAX);
    renews(&mut scene);
    spoils.next(0);
    let log = scene.log.clone();
    assert_eq!(strandings(&scene.bob.sync(chat, &log)), 1);
    let waits = scene.bob.say(chat, "never sent").entry;
    let bob = scene.index(scene.bob.me().account);
    let made = scene.group.commit_builder().commit_time(time()).remove_member(bob).unwrap();
    let commit = made.build().unwrap().commit_message.to_bytes().unwrap();
    let epoch = scene.log.epoch;
    scene.log.push(entry_id(), KIND_COMMIT, Some(scene.me), Some(epoch), commit);
    let got = scene.bob.sync(chat, &scene.log);
    assert!(
        matches!(&got[0].what, What::Out { by, unsent } if *by == scene.me && unsent[..] == [waits]),
        "{got:?}"
    );
    assert!(!is_stranded(&scene.bob, &scene));
}

#[test]
fn a_joiner_that_came_in_by_what_nobody_follows_notices_and_comes_in_again() {
    let (mut scene, _) = group();
    spams(&mut scene);
    let chat = scene.chat;
    let Scene {
        mut alice,
        mut bob,
        bob_person,
        mut log,
        ..
    } = scene;
    for device in [&mut alice, &mut bob] {
        assert!(matches!(device.sync(chat, &log)[0].what, What::BadCommit { .. }));
    }
    let mut phone = Device::of(&bob_person);
    phone.comes_in(chat, &mut log);
    phone.say(chat, "does anybody hear me?");
    phone.send(&mut log);
    for device in [&mut alice, &mut bob] {
        let got = device.sync(chat, &log);
        assert!(matches!(got[0].what, What::BadCommit { .. }), "{got:?}");
        assert!(texts(&got).is_empty());
    }
    // One of them renews, which brings a good GroupInfo.
    alice.commit(chat, &Intent::Renew).unwrap();
    alice.send(&mut log);
    let got = phone.sync(chat, &log);
    let last = &got.last().unwrap().what;
    assert!(
        matches!(
            last,
            What::Stranded {
                cause: Stranding::Unnoticed,
                ..
            }
        ),
        "{last:?}"
    );
    let stranding = phone.store.read(|tx| phone.groups.stranding(tx, chat)).unwrap();
    assert_eq!(stranding.unwrap().unnoticed, 1);
    phone.say(chat, "and now?");
    comes_back(&mut phone, chat, &mut log);
    says_what_waited(&mut phone, chat, &mut log);
    for device in [&mut alice, &mut bob] {
        assert_eq!(texts(&device.sync(chat, &log)), ["and now?"]);
    }
    alice.say(chat, "yes");
    alice.send(&mut log);
    assert_eq!(texts(&phone.sync(chat, &log)), ["yes"]);
    // From now on nothing old that the server shows again makes it doubt.
    let old = log.entries.iter().rfind(|entry| entry.kind == KIND_COMMIT).unwrap().clone();
    log.entries.push(old);
    let got = phone.sync(chat, &log);
    assert!(matches!(got[0].what, What::BadCommit { .. }), "{got:?}");
}
