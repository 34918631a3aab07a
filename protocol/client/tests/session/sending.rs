//! The outbox's entries stand in their log once and in order.

use crate::fake::{ACCOUNT, DEVICE, Fake, LOG, STORE, Subject, soon};
use fastchat_client::{Ended, Outbox, Outgoing, SessionEvent, chat::CommitPieces, outbox::Payload};
use fastchat_wire::{
    Code, EntryId,
    chat::{append::Append, commit::Commit, resume::Resume},
};
use std::time::{Duration, Instant};

#[tokio::test]
async fn an_own_append_comes_at_its_place_and_counts_as_seen() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 0).await;
    let entry = subject.send("mine").await;
    let asked = peer.expect::<Append>().await;
    // Somebody else's came first, and its push after the answer.
    peer.ring(&[1]).await;
    peer.appended(asked.id, 2).await;
    peer.ring(&[3]).await;
    subject.entries(&[1]).await;
    let (own, _) = subject.entry().await;
    assert_eq!((own.seq(), own.head.entry, &own.block[..]), (2, entry, &b"mine"[..]));
    assert_eq!((own.head.from, own.head.device), (Some(ACCOUNT), Some(DEVICE)));
    subject.entries(&[3]).await;
    assert!(subject.outbox.is_empty());
}

#[tokio::test]
async fn an_unknown_outcome_sends_the_same_entries_again_in_order() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 0).await;
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push((subject.send(&n.to_string()).await, n.to_string()));
    }
    peer.expect::<Append>().await;
    drop(peer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 0).await;
    for (seq, (entry, block)) in (1..).zip(&sent) {
        let (got, bytes) = peer.take_append(seq).await;
        assert_eq!((got, &bytes[..]), (*entry, block.as_bytes()));
    }
    subject.entries(&[1, 2, 3, 4, 5]).await;
    assert!(subject.outbox.is_empty());
}

#[tokio::test]
async fn a_retryable_refusal_holds_the_later_entries_and_a_final_one_does_not() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    let entries: Vec<EntryId> = {
        let mut entries = Vec::new();
        for n in 0..3 {
            let outgoing = Outgoing::append(LOG, "app", None, n.to_string().into());
            entries.push(outgoing.entry);
            subject.outbox.add(outgoing).unwrap();
        }
        entries
    };
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 0).await;
    for entry in &entries {
        let asked = peer.expect::<Append>().await;
        assert_eq!(asked.request.entry, *entry);
        peer.refuse(asked.id, Code::RateLimited, Some(100)).await;
    }
    let refused = Instant::now();
    let first = peer.expect::<Append>().await;
    assert!(refused.elapsed() >= Duration::from_millis(95));
    assert_eq!(first.request.entry, entries[0]);
    peer.refuse(first.id, Code::EpochConflict, None).await;
    assert_eq!(peer.take_append(1).await.0, entries[1]);
    assert_eq!(peer.take_append(2).await.0, entries[2]);
    let refused = subject.until(|event| match event {
        SessionEvent::Refused { entry, refused, .. } => Some((entry, refused.code)),
        _ => None,
    });
    assert_eq!(refused.await, (entries[0], Code::EpochConflict));
    subject.entries(&[1, 2]).await;
    assert!(subject.outbox.is_empty());
}

#[tokio::test]
async fn a_commit_is_sent_alone_and_what_came_with_it_is_fetched() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    let before = Outgoing::append(LOG, "app", Some(0), "before".into());
    let commit = Outgoing {
        log: LOG,
        entry: EntryId([9; 16]),
        payload: Payload::Commit {
            welcome_entry: None,
            epoch: 0,
            pieces: CommitPieces::default(),
        },
    };
    let after = Outgoing::append(LOG, "app", Some(1), "after".into());
    for outgoing in [&before, &commit, &after] {
        subject.outbox.add(outgoing.clone()).unwrap();
    }
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 0).await;
    assert_eq!(peer.take_append(1).await.0, before.entry);
    let asked = peer.expect::<Commit>().await;
    assert_eq!((asked.request.entry, asked.request.epoch), (commit.entry, 0));
    peer.appended(asked.id, 2).await;
    let next = peer.next().await.unwrap();
    let fastchat_wire::Kind::Request { op: Some(op), id } = next.head.kind else {
        panic!("{next:?}");
    };
    // The fetch and the next append may come in either order.
    let mut peer = if op == fastchat_wire::Op::Append {
        peer.appended(id, 4).await;
        peer.serve_fetch(1, 4).await;
        peer
    } else {
        let fetched = fastchat_wire::chat::fetch::Fetched {
            first_seq: 1,
            last_seq: 3,
            more: false,
        };
        for seq in 2..=3 {
            let event = fastchat_wire::encode_event(Some(id), &crate::fake::head(seq), &fastchat_wire::Block::none()).unwrap();
            peer.write(&event).await;
        }
        peer.answer(id, &fetched, fastchat_wire::Block::none()).await;
        assert_eq!(peer.take_append(4).await.0, after.entry);
        peer
    };
    subject.entries(&[1, 2, 3, 4]).await;
    peer.ring(&[5]).await;
    subject.entries(&[5]).await;
}

#[tokio::test]
async fn a_block_that_no_server_takes_is_refused_here_and_holds_nothing_up() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    let large = Outgoing::append(LOG, "app", None, vec![0; (4 << 20) + 1].into());
    subject.outbox.add(large.clone()).unwrap();
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 0).await;
    let entry = subject.send("small").await;
    let refused = subject.until(|event| match event {
        SessionEvent::Refused { entry, refused, .. } => Some((entry, refused.code)),
        _ => None,
    });
    assert_eq!(refused.await, (large.entry, Code::TooLarge));
    assert_eq!(peer.take_append(1).await.0, entry);
}

#[tokio::test]
async fn a_session_that_is_ended_elsewhere_ends_here_and_keeps_its_entries() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 0).await;
    subject.send("x").await;
    let asked = peer.expect::<Append>().await;
    peer.refuse(asked.id, Code::Unauthenticated, None).await;
    balancer.assign(&server, 0).await;
    let mut peer = server.greet(STORE).await;
    let resume = peer.expect::<Resume>().await;
    peer.refuse(resume.id, Code::Unauthenticated, None).await;
    loop {
        match soon(subject.session.next()).await {
            Ok(_) => {}
            Err(ended) => break assert!(matches!(ended, Ended::SignedOut(_))),
        }
    }
    assert_eq!(subject.outbox.len(), 1);
}
