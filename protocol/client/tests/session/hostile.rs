//! A server that means ill: the client neither grows, nor panics, nor loses its way.

use crate::fake::{Fake, LOG, Subject, head, soon};
use fastchat_client::{Closed, Connection, Failure, SessionEvent, Timing, chat};
use fastchat_wire::{
    Block,
    chat::fetch::{Fetch, Fetched},
    encode_event,
};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_broken_frame_ends_the_connection_and_the_session_goes_on_elsewhere() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = Subject::start(&balancer);
    for garbage in [&b"\x00\x01{"[..], b"\xff\xff", b"\x00\x02[]", b"\x00\x12{\"event\":\"entry\"}  "] {
        balancer.assign(&server, 0).await;
        let mut peer = server.sign_on("t1", 0).await;
        peer.write(garbage).await;
        let reason = subject
            .until(|event| match event {
                SessionEvent::Away { reason, .. } => Some(reason),
                _ => None,
            })
            .await;
        assert!(reason.contains("broke the protocol"), "{reason}");
    }
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 0).await;
    peer.ring(&[1]).await;
    subject.entries(&[1]).await;
}

#[tokio::test]
async fn pages_that_promise_and_do_not_keep_end_the_connection() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let _subject = Subject::start(&balancer);
    for (first_seq, last_seq) in [(1, 5), (0, 5), (7, 5), (1, u64::MAX)] {
        balancer.assign(&server, 0).await;
        let mut peer = server.sign_on("t1", 5).await;
        let asked = peer.expect::<Fetch>().await;
        let fetched = Fetched {
            first_seq,
            last_seq,
            more: true,
        };
        peer.answer(asked.id, &fetched, Block::none()).await;
        peer.expect_end().await;
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_and_events_nobody_takes_are_dropped() {
    let server = Fake::new().await;
    let socket = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let connection = Connection::open(socket, &Timing::default());
    let mut peer = server.accept().await;
    let script = async {
        let asked = peer.expect::<Fetch>().await;
        for seq in 1..=3_000 {
            peer.write(&encode_event(Some(asked.id), &head(seq), &Block::none()).unwrap()).await;
            peer.ring(&[seq]).await;
        }
        let fetched = Fetched {
            first_seq: 1,
            last_seq: 3_000,
            more: false,
        };
        peer.answer(asked.id, &fetched, Block::none()).await;
    };
    let (page, ()) = tokio::join!(soon(chat::fetch(&connection, LOG, 0)), script);
    let page = page.unwrap();
    assert_eq!((page.entries.len(), page.more), (100, true));
    let mut events = 0;
    while !matches!(soon(connection.next_event()).await.unwrap(), fastchat_client::Event::Behind(_)) {
        events += 1;
    }
    assert_eq!(events, 1_024);
}

#[tokio::test]
async fn a_silent_server_is_left() {
    let server = Fake::new().await;
    let socket = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let connection = Connection::open(socket, &Timing::default());
    let mut peer = server.accept().await;
    let (welcome, ()) = tokio::join!(chat::hello(&connection, "test", None), async {
        let hello = peer.expect::<fastchat_wire::chat::hello::Hello>().await;
        let welcome = fastchat_wire::chat::hello::Welcome {
            server: "s".to_owned(),
            version: 1,
            store: "x".to_owned(),
            max_header: 16_384,
            max_block: 1,
            // Shorter than any client believes.
            ping_interval_ms: 0,
            features: Vec::new(),
        };
        peer.answer(hello.id, &welcome, Block::none()).await;
    });
    welcome.unwrap();
    // Pings are read by nobody and answered by nobody.
    assert_eq!(soon(connection.next_event()).await, Err(Closed::Silent));
    let refused = chat::lookup(&connection, "bob".parse().unwrap()).await;
    assert!(matches!(refused, Err(Failure::Lost(Closed::Silent))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_a_connection_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), header in "\\{[\"a-z:0-9,{}\\[\\] -]{0,80}\\}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(4_096);
            let connection = Connection::open(near, &Timing::default());
            let framed = [&u16::try_from(header.len()).unwrap().to_be_bytes()[..], header.as_bytes(), &bytes].concat();
            let _ = far.write_all(&framed).await;
            drop(far);
            while soon(connection.next_event()).await.is_ok() {}
            assert!(connection.closed().is_some());
        });
    }
}
