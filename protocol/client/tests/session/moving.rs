//! `move`: make before break.

use crate::fake::{Fake, LOG, Subject};
use fastchat_client::SessionEvent;
use fastchat_wire::{
    Code, MoveId,
    chat::{
        append::Append,
        assign::Assign,
        move_to::{Move, MoveReason},
    },
};

const MOVE: MoveId = MoveId([5; 16]);

fn moving(after_ms: u64) -> Move {
    Move {
        id: MOVE,
        reason: MoveReason::Drain,
        after_ms,
        within_ms: 30_000,
    }
}

#[tokio::test]
async fn it_arrives_elsewhere_before_it_leaves_and_loses_and_doubles_nothing() {
    let (balancer, old, new) = (Fake::new().await, Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&old, 0).await;
    let mut left = old.sign_on("t1", 0).await;
    left.push(&moving(10), "").await;
    let asked = balancer.assign(&new, 0).await;
    assert_eq!((asked.move_id, asked.resume), (Some(MOVE), true));
    // Still served by the old one.
    left.ring(&[1]).await;
    subject.entries(&[1]).await;
    let mut peer = new.sign_on("t1", 1).await;
    left.ring(&[2]).await;
    peer.ring(&[2, 3]).await;
    left.ring(&[3]).await;
    subject.entries(&[2, 3]).await;
    left.expect_end().await;
    peer.ring(&[4]).await;
    subject.entries(&[4]).await;
}

#[tokio::test]
async fn a_move_that_fails_is_tried_again_with_its_id_while_the_old_server_serves() {
    let (balancer, old, new) = (Fake::new().await, Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&old, 0).await;
    let mut left = old.sign_on("t1", 0).await;
    left.push(&moving(0), "").await;
    let mut refused = balancer.accept().await;
    let asked = refused.expect::<Assign>().await;
    refused.refuse(asked.id, Code::NoServer, Some(10)).await;
    left.ring(&[1]).await;
    subject.entries(&[1]).await;
    assert_eq!(balancer.assign(&new, 0).await.move_id, Some(MOVE));
    let mut peer = new.sign_on("t1", 1).await;
    left.expect_end().await;
    peer.ring(&[2]).await;
    subject.entries(&[2]).await;
}

#[tokio::test]
async fn an_append_under_way_while_moving_is_answered_by_the_old_server_or_sent_again() {
    let (balancer, old, new) = (Fake::new().await, Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&old, 0).await;
    let mut left = old.sign_on("t1", 0).await;
    let entry = subject.send("x").await;
    let asked = left.expect::<Append>().await;
    assert_eq!((asked.request.entry, asked.request.log), (entry, LOG));
    left.push(&moving(0), "").await;
    balancer.assign(&new, 0).await;
    let mut peer = new.sign_on("t1", 0).await;
    drop(left);
    assert_eq!(peer.take_append(1).await.0, entry);
    let sent = subject.until(|event| match event {
        SessionEvent::Sent { entry, appended, .. } => Some((entry, appended.seq)),
        _ => None,
    });
    assert_eq!(sent.await, (entry, 1));
}
