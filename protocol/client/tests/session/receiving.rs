//! Each entry once and in order, whatever the server does.

use crate::fake::{Fake, LOG, Subject, soon};
use fastchat_client::SessionEvent;
use fastchat_wire::{
    Block, Code, LogId,
    chat::{
        behind::Behind,
        fetch::{Fetch, Fetched},
        resume::Resume,
    },
};

#[tokio::test]
async fn holes_doubles_and_reordering_become_each_entry_once_in_order() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 2).await;
    peer.serve_fetch(0, 2).await;
    subject.entries(&[1, 2]).await;
    assert_eq!(subject.next().await, SessionEvent::CaughtUp);
    // A hole: 5 waits for 3 and 4.
    peer.ring(&[2, 1, 5, 5]).await;
    peer.serve_fetch(2, 5).await;
    peer.ring(&[5, 6, 6, 3]).await;
    subject.entries(&[3, 4, 5, 6]).await;
    peer.ring(&[7]).await;
    subject.entries(&[7]).await;
}

#[tokio::test]
async fn after_a_lost_connection_it_fetches_from_its_cursor() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    assert!(balancer.assign(&server, 0).await.resume);
    let mut peer = server.sign_on("t1", 1).await;
    peer.serve_fetch(0, 1).await;
    subject.entries(&[1]).await;
    drop(peer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 3).await;
    peer.serve_fetch(1, 3).await;
    subject.entries(&[2, 3]).await;
}

#[tokio::test]
async fn a_fetch_that_the_server_did_not_finish_is_made_again() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 2).await;
    peer.expect::<Fetch>().await;
    drop(peer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 2).await;
    let asked = peer.expect::<Fetch>().await;
    peer.refuse(asked.id, Code::Unavailable, Some(30)).await;
    peer.serve_fetch(0, 2).await;
    subject.entries(&[1, 2]).await;
}

#[tokio::test]
async fn behind_fetches_one_log_or_everything() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 0).await;
    let behind = Behind {
        log: Some(LOG),
        last_seq: Some(2),
    };
    peer.push(&behind, "").await;
    peer.serve_fetch(0, 2).await;
    subject.entries(&[1, 2]).await;
    peer.push(&Behind { log: None, last_seq: None }, "").await;
    peer.list(4).await;
    peer.serve_fetch(2, 4).await;
    subject.entries(&[3, 4]).await;
}

#[tokio::test]
async fn what_is_older_than_the_membership_is_a_gap() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 0).await;
    peer.ring(&[9]).await;
    let asked = peer.expect::<Fetch>().await;
    let fetched = Fetched {
        first_seq: 9,
        last_seq: 9,
        more: false,
    };
    // The server may stop early; the client asks for the rest.
    peer.answer(
        asked.id,
        &Fetched {
            last_seq: 8,
            ..fetched.clone()
        },
        Block::none(),
    )
    .await;
    let gap = subject.until(|event| match event {
        SessionEvent::Gap { log, after, first } => Some((log, after, first)),
        _ => None,
    });
    assert_eq!(gap.await, (LOG, 0, 9));
    subject.entries(&[9]).await;
}

#[tokio::test]
async fn processed_entries_do_not_come_again_after_a_restart_and_others_do() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 3).await;
    peer.serve_fetch(0, 3).await;
    let (first, store) = subject.entry().await;
    subject.session.processed(&first, &store).await.unwrap();
    subject.entries(&[2]).await;
    let journal = subject.journal.saved();
    drop(subject.session);
    peer.expect_end().await;

    let restarted = fastchat_client::MemoryJournal::default();
    fastchat_client::Journal::save_token(&restarted, &journal.token.unwrap()).unwrap();
    fastchat_client::Journal::save_store(&restarted, &journal.store.unwrap()).unwrap();
    fastchat_client::Journal::save_cursor(&restarted, "another store", LOG, 3).unwrap();
    fastchat_client::Journal::save_cursor(&restarted, &store, LOG, journal.cursors[&LOG]).unwrap();
    let mut subject = Subject::with(crate::fake::config(&[&balancer]), restarted);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 3).await;
    peer.serve_fetch(1, 3).await;
    subject.entries(&[2, 3]).await;
}

#[tokio::test]
async fn another_store_starts_the_cursors_over() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 2).await;
    peer.serve_fetch(0, 2).await;
    let (old, old_store) = subject.entry().await;
    subject.entries(&[2]).await;
    drop(peer);
    balancer.assign(&server, 0).await;
    let mut peer = server.greet("store-1 restored").await;
    let resume = peer.expect::<Resume>().await;
    peer.resumed(resume.id, "t1").await;
    peer.list(1).await;
    peer.serve_fetch(0, 1).await;
    subject
        .until(|event| matches!(event, SessionEvent::StoreChanged).then_some(()))
        .await;
    subject.entries(&[1]).await;
    assert_eq!(subject.journal.saved().store.as_deref(), Some("store-1 restored"));
    // What is said late of the old store moves no cursor of the new one.
    subject.session.processed(&old, &old_store).await.unwrap();
    assert!(subject.journal.saved().cursors.is_empty());
}

#[tokio::test]
async fn a_log_that_is_no_more_ours_is_reported_and_left_alone() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 2).await;
    let asked = peer.expect::<Fetch>().await;
    peer.refuse(asked.id, Code::NotMember, None).await;
    let gone: LogId = subject
        .until(|event| match event {
            SessionEvent::NotMember(log) => Some(log),
            _ => None,
        })
        .await;
    assert_eq!(gone, LOG);
}

#[tokio::test]
async fn a_consumer_that_takes_its_time_loses_nothing() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 0).await;
    const ENTRIES: u64 = 5_000;
    let script = tokio::spawn(async move {
        for seq in 1..=ENTRIES {
            peer.ring(&[seq]).await;
        }
        // What was dropped is fetched, page by page.
        while let Some(frame) = peer.next().await {
            let fastchat_wire::Kind::Request { op: Some(op), id } = frame.head.kind else {
                panic!("{frame:?}");
            };
            if op == fastchat_wire::Op::Conversations {
                panic!("listed without a behind");
            }
            let after = frame.parse::<Fetch>().unwrap().after;
            let last = (after + 100).min(ENTRIES);
            for seq in after + 1..=last {
                let event = fastchat_wire::encode_event(Some(id), &crate::fake::head(seq), &Block::none()).unwrap();
                peer.write(&event).await;
            }
            let fetched = Fetched {
                first_seq: 1,
                last_seq: ENTRIES,
                more: last < ENTRIES,
            };
            peer.answer(id, &fetched, Block::none()).await;
        }
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    for seq in 1..=ENTRIES {
        assert_eq!(subject.entry().await.0.seq(), seq);
    }
    drop(subject);
    soon(script).await.unwrap();
}
