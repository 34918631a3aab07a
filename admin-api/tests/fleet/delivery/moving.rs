//! `move` is make before break.

use super::{Stand, Store};
use crate::fleet::{
    client::{Client, append, assign, new_id},
    library::{caught_up, person},
};
use fastchat_client::{SessionEvent, chat};
use fastchat_wire::{
    Block, LogId,
    chat::{append::Appended, assign::Assign, create::ConversationKind, move_to::Move},
};
use reqwest::StatusCode;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(30);

/// Appends until it is told to stop; the last number.
async fn append_until(client: &mut Client, log: LogId, stop: &tokio::sync::Notify) -> u64 {
    let mut last = 0;
    loop {
        let appending = async {
            let (appended, _): (Appended, _) = client.call(&append(log, new_id()), &Block::none()).await.expect("appended");
            last = appended.seq;
            sleep(Duration::from_millis(2)).await;
        };
        appending.await;
        if timeout(Duration::ZERO, stop.notified()).await.is_ok() {
            return last;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_client_that_moves_is_pushed_everything_by_the_old_server_or_the_new_one() {
    let stand = Stand::on(Store::Sqlite).await;
    let (mut alice, _) = stand.person("s1", "alice").await;
    let (mut bob, bob_is) = stand.person("s2", "bob").await;
    let log = alice
        .create(ConversationKind::Direct, &[bob_is.account])
        .await
        .expect("a conversation");
    let stop = tokio::sync::Notify::new();
    let moving = async {
        let removed = stand.fleet.rest().delete("/v1/servers/s2").await;
        assert_eq!(removed.status(), StatusCode::ACCEPTED);
        let asked = loop {
            let frame = bob.frame().await.expect("the old server serves");
            let is_move = matches!(frame.head.kind, fastchat_wire::Kind::Event { name: Some(name), .. } if name.as_str() == "move");
            if is_move {
                break frame.parse::<Move>().expect("a move");
            }
            bob.events.push_back(frame);
        };
        sleep(Duration::from_millis(asked.after_ms)).await;
        let request = Assign {
            resume: true,
            move_id: Some(asked.id),
            ..Assign::default()
        };
        let assigned = assign(stand.fleet.balancer(), &request).await.expect("another server");
        assert_ne!(assigned.server, "s2");
        sleep(Duration::from_millis(assigned.wait_ms)).await;
        let mut new = Client::greeted(&assigned.address.expect("an address"), Some(assigned.ticket))
            .await
            .expect("it greets");
        new.resume(&bob_is.token).await.expect("the session goes on");
        let listed = new.listed().await;
        // Only now the old one may go; it serves a while longer.
        sleep(Duration::from_millis(50)).await;
        stop.notify_one();
        (new, listed[0].last_seq)
    };
    let ((mut new, listed), last) = tokio::join!(moving, append_until(&mut alice, log, &stop));
    let by_new = new.pushed_until_quiet(log).await;
    let by_old = bob.pushed_until_quiet(log).await;
    assert_eq!(by_old, (1..=by_old.len() as u64).collect::<Vec<_>>(), "in order, without a hole");
    assert!(by_old.len() as u64 >= listed, "all that the new one does not push");
    let first = by_new.first().copied().expect("pushes of the new server");
    assert!(first <= listed + 1, "{first} after {listed}");
    assert_eq!(by_new, (first..=last).collect::<Vec<_>>(), "in order, without a hole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_moves_is_never_away_and_hands_out_each_entry_once() {
    let stand = Stand::on(Store::Sqlite).await;
    let (mut bob, bob_is) = person(&stand.fleet, "bob").await;
    let old = caught_up(&mut bob).await;
    let elsewhere = ["s1", "s2", "s3"].into_iter().find(|name| **name != old).expect("another server");
    let (mut alice, _) = stand.person(elsewhere, "alice").await;
    let log = alice.create(ConversationKind::Direct, &[bob_is]).await.expect("a conversation");
    let stop = tokio::sync::Notify::new();
    let moving = async {
        let removed = stand.fleet.rest().delete(&format!("/v1/servers/{old}")).await;
        assert_eq!(removed.status(), StatusCode::ACCEPTED);
        let (mut next, mut moved) = (1, None);
        // A hundred more from the new server.
        while moved.is_none_or(|at| next < at + 100) {
            match bob.next().await.expect("the session lives") {
                SessionEvent::Entry { entry, store } if entry.log() == log => {
                    assert_eq!(entry.seq(), next, "once, and in order");
                    bob.processed(&entry, &store).await.expect("kept in memory");
                    next += 1;
                }
                SessionEvent::Live { server, .. } => {
                    assert_ne!(server, old);
                    moved = Some(next);
                }
                SessionEvent::Away { reason, .. } => panic!("away: {reason}"),
                _ => {}
            }
        }
        stop.notify_one();
        next
    };
    let both = async { tokio::join!(moving, append_until(&mut alice, log, &stop)) };
    let (mut next, last) = timeout(PATIENCE, both).await.expect("it moves in time");
    while next <= last {
        if let SessionEvent::Entry { entry, .. } = bob.next().await.expect("the session lives")
            && entry.log() == log
        {
            assert_eq!(entry.seq(), next);
            next += 1;
        }
    }
    let connection = bob.handle().connection().await.expect("bob is online");
    assert_eq!(
        chat::conversations(&connection).await.expect("listed").conversations[0].last_seq,
        last
    );
}
