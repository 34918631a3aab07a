//! Finding a server, tickets, tokens, waits, refusals.

use crate::fake::{Fake, STORE, Subject, config, soon};
use fastchat_client::{Ended, Errand, Error, Journal, MemoryJournal, Session, SessionEvent, StorageError, enter};
use fastchat_wire::{
    Code, Empty, ErrorBody, Secret,
    chat::{assign::Assign, conversations::Conversations, hello::Hello, resume::Resume},
    encode_failure,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

#[tokio::test]
async fn a_refused_ticket_is_followed_by_a_hello_without_one() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.accept().await;
    let first = peer.expect::<Hello>().await;
    assert_eq!(first.request.ticket.unwrap().expose(), "ticket");
    peer.refuse(first.id, Code::BadTicket, None).await;
    let second = peer.expect::<Hello>().await;
    assert_eq!(second.request.ticket, None);
    peer.welcome(second.id, STORE).await;
    let resume = peer.expect::<Resume>().await;
    peer.resumed(resume.id, "t1").await;
    peer.list(0).await;
    assert!(matches!(subject.next().await, SessionEvent::Live { .. }));
}

#[tokio::test]
async fn wait_ms_and_retry_after_are_waited_for() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let _subject = Subject::start(&balancer);
    let mut peer = balancer.accept().await;
    let asked = peer.expect::<Assign>().await;
    peer.refuse(asked.id, Code::Overloaded, Some(200)).await;
    let refused = Instant::now();
    balancer.assign(&server, 150).await;
    assert!(refused.elapsed() >= Duration::from_millis(200));
    let assigned = Instant::now();
    server.sign_on("t1", 0).await;
    assert!(assigned.elapsed() >= Duration::from_millis(140));
}

#[tokio::test]
async fn a_dead_balancer_is_passed_over() {
    let (dead, balancer, server) = (Fake::new().await, Fake::new().await, Fake::new().await);
    let both = config(&[&dead, &balancer]);
    drop(dead);
    let mut subject = Subject::with(both, MemoryJournal::with_token(Secret::new("t1".to_owned())));
    balancer.assign(&server, 0).await;
    let _peer = server.sign_on("t1", 0).await;
    subject
        .until(|event| matches!(event, SessionEvent::Live { .. }).then_some(()))
        .await;
}

#[tokio::test]
async fn a_new_token_is_kept_before_it_is_used() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.greet(STORE).await;
    let resume = peer.expect::<Resume>().await;
    peer.resumed(resume.id, "t2").await;
    // The list is asked for only after the journal has it.
    peer.expect::<Conversations>().await;
    assert_eq!(subject.journal.saved().token.unwrap().expose(), "t2");
    drop(peer);
    balancer.assign(&server, 0).await;
    server.sign_on("t2", 0).await;
}

#[tokio::test]
async fn a_token_that_another_program_was_given_is_used_from_then_on() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let subject = Subject::start(&balancer);
    balancer.assign(&server, 0).await;
    let peer = server.sign_on("t1", 0).await;
    subject.journal.save_token(&Secret::new("t2".to_owned())).unwrap();
    drop(peer);
    balancer.assign(&server, 0).await;
    server.sign_on("t2", 0).await;
}

/// A journal on a full disk.
struct Full;

impl Journal for Full {
    fn load(&self) -> Result<fastchat_client::Saved, StorageError> {
        MemoryJournal::with_token(Secret::new("t1".to_owned())).load()
    }
    fn save_token(&self, _: &Secret) -> Result<(), StorageError> {
        Err("no space left".into())
    }
    fn save_store(&self, _: &str) -> Result<(), StorageError> {
        Ok(())
    }
    fn save_cursor(&self, _: &str, _: fastchat_wire::LogId, _: u64) -> Result<(), StorageError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_token_that_can_not_be_kept_ends_the_session_unused() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut session = Session::start(
        config(&[&balancer]),
        Arc::new(Full),
        Arc::new(fastchat_client::MemoryOutbox::default()),
    );
    balancer.assign(&server, 0).await;
    let mut peer = server.greet(STORE).await;
    let resume = peer.expect::<Resume>().await;
    peer.resumed(resume.id, "t2").await;
    peer.expect_end().await;
    assert!(matches!(soon(session.next()).await, Err(Ended::Unkept(why)) if why.0.contains("no space")));
}

#[tokio::test]
async fn a_dead_token_ends_the_session_and_says_so() {
    for code in [Code::Unauthenticated, Code::Locked] {
        let (balancer, server) = (Fake::new().await, Fake::new().await);
        let mut subject = Subject::start(&balancer);
        balancer.assign(&server, 0).await;
        let mut peer = server.greet(STORE).await;
        let resume = peer.expect::<Resume>().await;
        peer.refuse(resume.id, code, None).await;
        let ended = soon(subject.session.next()).await.unwrap_err();
        match code {
            Code::Locked => assert!(matches!(ended, Ended::Locked(_))),
            _ => assert!(matches!(ended, Ended::SignedOut(_))),
        }
        assert_eq!(ended.exit_code(), 1);
        assert!(!format!("{ended:?} {ended}").contains("t1"));
    }
}

#[tokio::test]
async fn without_a_token_there_is_nothing_to_resume() {
    let balancer = Fake::new().await;
    let mut subject = Subject::with(config(&[&balancer]), MemoryJournal::default());
    assert_eq!(soon(subject.session.next()).await, Err(Ended::NoToken));
}

#[tokio::test]
async fn a_ca_that_can_not_be_read_is_wrong_usage_and_named() {
    let balancer = Fake::new().await;
    let mut protected = config(&[&balancer]);
    protected.tls = fastchat_client::Tls::by("/nowhere/ca.pem".into());
    let error = enter(&protected, Errand::default()).await.unwrap_err();
    assert!(matches!(&error, Error::Usage(what) if what.contains("/nowhere/ca.pem")), "{error}");
    assert_eq!(error.exit_code(), 2);
}

#[tokio::test]
async fn a_balancer_can_not_send_a_client_off_the_machine_in_plain_text() {
    let mut elsewhere = Fake::new().await;
    let balancer = Fake::new().await;
    elsewhere.address = "192.0.2.1:7110".to_owned();
    let mut subject = Subject::start(&balancer);
    balancer.assign(&elsewhere, 0).await;
    assert!(matches!(soon(subject.session.next()).await, Err(Ended::Usage(_))));
}

#[tokio::test]
async fn nobody_there_is_cannot_connect() {
    let dead = Fake::new().await;
    let nobody = config(&[&dead]);
    drop(dead);
    let error = soon(enter(&nobody, Errand::default())).await.unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
}

#[tokio::test]
async fn a_balancer_without_room_that_says_so_unasked_is_waited_for() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let _subject = Subject::start(&balancer);
    let mut full = balancer.accept().await;
    full.expect::<Assign>().await;
    let error = ErrorBody::retry_after(Code::Overloaded, "too many connections", 200);
    full.write(&encode_failure(None, &error, &Empty {}).unwrap()).await;
    drop(full);
    let refused = Instant::now();
    balancer.assign(&server, 0).await;
    assert!(refused.elapsed() >= Duration::from_millis(195));
}
