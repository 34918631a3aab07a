//! What only a broker can do to a bus: go away, ask for a login, have strangers on it.

mod files;

use super::*;
use crate::bus::conformance::{Kind, Member, OnNats, bell, key, until};
use fastchat_wire::Secret32;
use fastchatd_testing::NatsServer;
use futures::StreamExt;
use std::time::Duration;
use tokio::time::timeout;

fn peers() -> [Peer; 2] {
    ["s1", "s2"].map(|name| Peer {
        name: name.into(),
        address: String::new(),
    })
}

/// Two members by that URL, which may not meet yet.
fn two(url: &str, key: &FleetKey) -> [Member; 2] {
    let members = ["s1", "s2"].map(|name| OnNats::member_by(name, url, key));
    for member in &members {
        Arc::clone(&member.bus).set_peers(&peers());
    }
    members
}

async fn meet(members: &mut [Member; 2]) {
    for member in members.iter_mut() {
        member.meets(1).await;
    }
}

fn refused(member: &Member, reason: crate::bus::Refused) -> u64 {
    member.metrics.refused(reason)
}

#[tokio::test]
async fn a_broker_that_is_away_at_the_start_is_dialled_until_it_is_there() {
    let mut broker = NatsServer::start();
    broker.stop();
    let mut members = two(&broker.url(), &key());
    members[0].bus.broadcast(&bell(1));
    assert!(!members[0].bus.is_whole());
    assert_eq!(members[0].metrics.connected.get(), 0);
    broker.restart();
    meet(&mut members).await;
    assert_eq!(members[0].metrics.connected.get(), 1);
    members[0].bus.broadcast(&bell(2));
    assert_eq!(members[1].next().await, BusEvent::Message("s1".into(), bell(2)));
}

#[tokio::test]
async fn a_broker_that_is_stopped_or_killed_takes_the_links_with_it_and_brings_them_back() {
    let mut kind = OnNats::new();
    let mut members = two(&kind.broker.url(), &key());
    meet(&mut members).await;
    for round in 0..2 {
        if round == 0 {
            kind.broker.stop();
        } else {
            kind.broker.kill();
        }
        until(async || {
            members
                .iter()
                .all(|member| !member.bus.is_whole() && member.metrics.connected.get() == 0)
                .then_some(())
        })
        .await;
        // Nobody waits, and nothing is kept for later.
        for n in 0..1_000 {
            members[0].bus.send("s2", &bell(n));
        }
        kind.broker.restart();
        until(async || members.iter().all(|member| member.bus.is_whole()).then_some(())).await;
        members[0].bus.send("s2", &bell(1_000_000 + round));
        let expected = BusEvent::Message("s1".into(), bell(1_000_000 + round));
        loop {
            match members[1].next().await {
                event if event == expected => break,
                BusEvent::Message(_, message) => panic!("kept: {message:?}"),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn a_login_is_asked_for_by_name_or_token_and_a_wrong_one_stays_outside() {
    for (configuration, right, wrong) in [
        ("authorization { user: chat, password: \"p@ss:w\" }", "chat:p%40ss%3Aw", "chat:no"),
        ("authorization { token: \"t0ken\" }", "t0ken", "other"),
    ] {
        let broker = NatsServer::start_with(configuration);
        let outside = OnNats::member_by("s9", &broker.url_with(wrong), &key());
        let mut members = two(&broker.url_with(right), &key());
        meet(&mut members).await;
        assert_eq!(outside.metrics.connected.get(), 0);
    }
}

#[tokio::test]
async fn two_fleets_share_a_broker_and_hear_nothing_of_each_other() {
    let broker = NatsServer::start();
    let mut mine = two(&broker.url(), &key());
    let mut theirs = two(&broker.url(), &FleetKey::new(Secret32::new([6; 32])));
    meet(&mut mine).await;
    meet(&mut theirs).await;
    mine[0].bus.broadcast(&bell(1));
    theirs[0].bus.broadcast(&bell(2));
    assert_eq!(mine[1].next().await, BusEvent::Message("s1".into(), bell(1)));
    assert_eq!(theirs[1].next().await, BusEvent::Message("s1".into(), bell(2)));
    for member in mine.iter().chain(&theirs) {
        assert_eq!(refused(member, crate::bus::Refused::Key), 0, "not even to be refused");
    }
    let other_store = prefix(&key(), "other.0");
    assert_ne!(other_store, prefix(&key(), "store.0"));
}

#[tokio::test]
async fn a_stranger_on_the_broker_can_neither_say_nor_repeat_anything() {
    use crate::bus::Refused;
    let broker = NatsServer::start();
    let stranger = async_nats::connect(broker.url()).await.unwrap();
    let prefix = prefix(&key(), "store.0");
    let (all, own) = (format!("{prefix}.all"), format!("{prefix}.to.s2"));
    // Everything that is said, for later.
    let mut ear = stranger.subscribe(format!("{prefix}.>")).await.unwrap();
    stranger.flush().await.unwrap();

    let mut members = two(&broker.url(), &key());
    meet(&mut members).await;
    members[0].bus.send("s2", &bell(1));
    members[0].bus.broadcast(&bell(2));
    let mut came = [members[1].next().await, members[1].next().await];
    came.sort_by_key(|event| *event != BusEvent::Message("s1".into(), bell(1)));
    let said = |n| BusEvent::Message("s1".into(), bell(n));
    assert_eq!(came, [said(1), said(2)]);

    let mut recorded = Vec::new();
    while let Ok(Some(message)) = timeout(Duration::from_millis(100), ear.next()).await {
        recorded.push(message);
        if recorded.len() > 100 {
            break;
        }
    }
    let forged = Sealer::new(&FleetKey::new(Secret32::new([6; 32]))).seal(
        "s1",
        u64::MAX,
        &Body::Run {
            to: To::All,
            first: 3,
            broadcasts: 0,
            frames: bell(3).encode().unwrap(),
        },
    );
    for subject in [&all, &own] {
        for payload in [&forged[..], b"", b"\x01", b"\x02other", &[1; 40]] {
            stranger.publish(subject.clone(), Bytes::copy_from_slice(payload)).await.unwrap();
        }
    }
    for message in &recorded {
        stranger.publish(message.subject.clone(), message.payload.clone()).await.unwrap();
    }
    stranger.flush().await.unwrap();
    until(async || (refused(&members[1], Refused::Stale) >= 2).then_some(())).await;
    assert!(refused(&members[1], Refused::Key) >= 4);
    assert!(refused(&members[1], Refused::Malformed) >= 2 && refused(&members[1], Refused::Version) >= 2);
    assert!(members[1].events.try_recv().is_err(), "nothing of it is told");

    // Not even to the next life of the one that it was meant for.
    let [one, former] = members;
    former.shutdown.cancel();
    former.bus.stopped().await;
    drop(one);
    let mut next = OnNats::member_by("s2", &broker.url(), &key());
    Arc::clone(&next.bus).set_peers(&peers());
    until(async || (next.metrics.connected.get() == 1).then_some(())).await;
    for message in &recorded {
        stranger.publish(message.subject.clone(), message.payload.clone()).await.unwrap();
    }
    stranger.flush().await.unwrap();
    until(async || (refused(&next, Refused::Stale) >= 1).then_some(())).await;
    assert!(!next.bus.is_whole() && next.events.try_recv().is_err());
}

#[test]
fn names_with_dots_are_one_token_of_a_subject() {
    let (bus, _events) = {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        let place = NatsPlace {
            brokers: vec!["127.0.0.1:1".into()],
            tls: false,
            login: None,
            ca: None,
            credentials: None,
        };
        let metrics = crate::bus::conformance::metrics();
        Nats::start("s1".into(), "store.0", &key(), place, metrics, CancellationToken::new())
    };
    assert_eq!(bus.subject_of("s1.example.").split('.').count(), 4);
    assert_ne!(bus.subject_of("a.b"), bus.subject_of("ab"));
}
