//! What breaks the framing, or takes too long, is answered by its code and
//! closed; nobody else notices.

use super::{
    client::{Client, Failure, raw_frame},
    harness::Fleet,
};
use fastchat_wire::{
    Block, Kind,
    chat::{create::ConversationKind, ping::Ping},
    limits::{BLOCK_BYTES_MAX, BLOCK_BYTES_MAX_UNAUTHENTICATED, HEADER_BYTES_MAX, HEADER_BYTES_MAX_UNAUTHENTICATED},
};
use std::time::Duration;
use tokio::time::Instant;

/// Sends bytes; expects an error with that code and `re`, then the end.
async fn refused(mut client: Client, bytes: &[u8], code: &str, re: Option<u64>) {
    client.write(bytes).await.expect("the bytes go out");
    let frame = client.frame().await.unwrap_or_else(|e| panic!("no answer ({code}): {e}"));
    assert_eq!(frame.head.kind, Kind::Response { re, failed: true }, "{code}");
    assert_eq!(frame.failure().expect("an error").code.as_str(), code);
    assert!(client.is_closed_within(Duration::from_secs(3)).await, "closed after {code}");
}

/// A ping whose header has exactly so many bytes.
fn padded(header_bytes: usize) -> Vec<u8> {
    let plain = r#"{"op":"ping","id":5,"pad":""}"#;
    raw_frame(&plain.replace(r#""""#, &format!("\"{}\"", "x".repeat(header_bytes - plain.len()))), &[])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_frame_is_answered_by_its_code_and_closed() {
    let fleet = Fleet::start_with(&["--servers", "1"]);
    let server = fleet.server("s1").to_owned();
    let greeted = async || Client::greeted(&server, None).await.expect("the server greets");

    for (bytes, code, re) in [
        (raw_frame("not json", &[]), "bad-frame", None),
        (raw_frame("[1,2]", &[]), "bad-frame", None),
        (raw_frame(r#"{"op":"ping"}"#, &[]), "bad-frame", None),
        (raw_frame(r#"{"op":"ping","id":1.5}"#, &[]), "bad-frame", None),
        (raw_frame(r#"{"op":"ping","id":7,"event":"x"}"#, &[]), "bad-frame", Some(7)),
        (raw_frame(r#"{"id":7}"#, &[]), "bad-frame", Some(7)),
        (raw_frame(r#"{"op":"ping","id":7,"content-length":-1}"#, &[]), "bad-frame", Some(7)),
        (raw_frame(r#"{"op":"ping","id":7,"content-length":3,"parts":[1,1]}"#, b"abc"), "bad-frame", Some(7)),
        (vec![0, 1, b'{'], "bad-frame", None),
        (vec![0, 0], "bad-frame", None),
        (raw_frame(r#"{"op":"auth-params","id":7,"username":"a","username":"b"}"#, &[]), "bad-frame", Some(7)),
        (padded(HEADER_BYTES_MAX_UNAUTHENTICATED + 1), "too-large", None),
        (raw_frame(&format!(r#"{{"op":"ping","id":7,"content-length":{}}}"#, BLOCK_BYTES_MAX_UNAUTHENTICATED + 1), &[]), "too-large", Some(7)),
    ] {
        refused(greeted().await, &bytes, code, re).await;
    }

    // At the limits before sign-in everything is served.
    let mut client = greeted().await;
    client.write(&padded(HEADER_BYTES_MAX_UNAUTHENTICATED)).await.unwrap();
    assert_eq!(client.frame().await.unwrap().head.kind, Kind::Response { re: Some(5), failed: false });
    let at_limit = raw_frame(&format!(r#"{{"op":"ping","id":6,"content-length":{BLOCK_BYTES_MAX_UNAUTHENTICATED}}}"#), &vec![0; BLOCK_BYTES_MAX_UNAUTHENTICATED]);
    client.write(&at_limit).await.unwrap();
    assert_eq!(client.frame().await.unwrap().head.kind, Kind::Response { re: Some(6), failed: false });

    // The same after sign-in, at its own limits.
    let (client, _) = Client::registered(&server, "alice").await;
    refused(client, &padded(HEADER_BYTES_MAX + 1), "too-large", None).await;
    let (client, _) = Client::registered(&server, "bob").await;
    let over = raw_frame(&format!(r#"{{"op":"ping","id":7,"content-length":{}}}"#, BLOCK_BYTES_MAX + 1), &[]);
    refused(client, &over, "too-large", Some(7)).await;
    let (mut client, registered) = Client::registered(&server, "carol").await;
    client.write(&padded(HEADER_BYTES_MAX)).await.unwrap();
    assert_eq!(client.frame().await.unwrap().head.kind, Kind::Response { re: Some(5), failed: false });
    let group = client.create(ConversationKind::Group, &[]).await.expect("a group of one");
    let whole = Block::binary(vec![7; BLOCK_BYTES_MAX]);
    let (appended, _) = client.call(&super::client::append(group, super::client::new_id()), &whole).await.expect("a block at the limit");
    let (entries, _) = client.fetch(group, appended.seq - 1).await.expect("it is fetched");
    assert_eq!(entries[0].1, whole.bytes);
    assert_ne!(registered.account.as_bytes(), &[0; 16]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_ops_and_wrong_states_are_answered_and_the_connection_stays() {
    let fleet = Fleet::start_with(&["--servers", "1"]);
    let server = fleet.server("s1").to_owned();
    let mut client = Client::connect(&server).await.expect("the server listens");
    let code = |frame: fastchat_wire::Frame| frame.failure().map(|error| error.code.as_str()).unwrap_or("none");

    for (header, expected) in [
        (r#"{"op":"ping","id":1}"#, "bad-request"),
        (r#"{"op":"nonsense","id":2}"#, "bad-request"),
        (r#"{"op":"hello","id":3,"version":2,"agent":"x"}"#, "bad-request"),
        (r#"{"op":"hello","id":4,"version":1,"agent":"x","unknown-key":[1]}"#, "none"),
        (r#"{"op":"hello","id":5,"version":1,"agent":"x"}"#, "bad-request"),
        (r#"{"op":"append","id":6}"#, "unauthenticated"),
        (r#"{"op":"nonsense","id":7}"#, "unauthenticated"),
        (r#"{"op":"logout","id":8}"#, "unauthenticated"),
        (r#"{"op":"resume","id":9}"#, "bad-request"),
        (r#"{"op":"resume","id":10,"token":"AAAA"}"#, "unauthenticated"),
        (r#"{"op":"auth-params","id":11,"username":"..."}"#, "bad-request"),
    ] {
        assert_eq!(code(client.raw(header).await.expect("the connection stays")), expected, "{header}");
    }
    client.register("alice").await.expect("registration after all that");
    for (header, expected) in [
        (r#"{"op":"nonsense","id":1001}"#, "unknown-op"),
        (r#"{"op":"assign","id":1002}"#, "unknown-op"),
        (r#"{"op":"resume","id":1003,"token":"AAAA"}"#, "bad-request"),
        (r#"{"op":"fetch","id":1004,"log":"x","after":0}"#, "bad-request"),
        (r#"{"op":"conversations","id":1005,"limit":501}"#, "bad-request"),
        (r#"{"op":"conversations","id":1006,"limit":0}"#, "bad-request"),
        (r#"{"op":"conversations","id":1007,"limit":500}"#, "none"),
    ] {
        assert_eq!(code(client.raw(header).await.expect("the connection stays")), expected, "{header}");
    }

    // The balancer serves assign, and nothing else.
    let mut client = Client::connect(fleet.balancer()).await.expect("the balancer listens");
    for (header, expected) in [
        (r#"{"op":"nonsense","id":1}"#, "unknown-op"),
        (r#"{"op":"hello","id":2,"version":1,"agent":"x"}"#, "bad-request"),
        (r#"{"op":"assign","id":3}"#, "none"),
    ] {
        assert_eq!(code(client.raw(header).await.expect("the connection stays")), expected, "{header}");
    }
    let over = format!(r#"{{"op":"assign","id":4,"hint":"{}"}}"#, "h".repeat(65));
    assert_eq!(code(client.raw(&over).await.unwrap()), "bad-request");
    refused(client, &raw_frame("{", &[]), "bad-frame", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_slow_and_unreading_clients_are_bounded_and_harm_nobody() {
    let fleet = Fleet::start_with(&["--servers", "1"]);
    let server = fleet.server("s1").to_owned();
    let (mut alice, alice_id) = Client::registered(&server, "alice").await;
    let (mut bob, _) = Client::registered(&server, "bob").await;
    let group = bob.create(ConversationKind::Group, &[alice_id.account]).await.expect("a group");

    // One that connects and says nothing.
    let began = Instant::now();
    let mut silent = Client::connect(&server).await.expect("the server listens");
    // One that sends a frame byte by byte, for ever.
    let trickle = tokio::spawn(trickle(server.clone(), "mallory"));
    // One that never reads: pushes to it are dropped, not kept, and it is told.
    let mut written = 0;
    let block = Block::binary(vec![1; 64 << 10]);
    for _ in 0..300 {
        let (appended, _) = bob.call(&super::client::append(group, super::client::new_id()), &block).await.expect("bob is served");
        written = appended.seq;
    }
    let dropped = metric(&fleet, "fastchat_server_pushes_dropped_total").await;
    assert!(dropped > 0.0, "alice does not read: her pushes are dropped beyond the bound");
    let (_, _) = alice.event::<fastchat_wire::chat::behind::Behind>().await.expect("once she reads, she is told that she is behind");
    let whole = alice.whole(group).await.expect("and fetches");
    assert_eq!(whole.last().map(|(entry, _)| entry.seq), Some(written));

    assert!(silent.is_closed_within(Duration::from_secs(12)).await, "a silent connection is closed");
    assert!(began.elapsed() >= Duration::from_secs(9), "but not before its 10 s");
    let lived = trickle.await.expect("the trickle ends");
    assert!((Duration::from_secs(29)..Duration::from_secs(34)).contains(&lived), "a frame completes within 30 s, or the connection ends: {lived:?}");
    bob.ask(&Ping {}).await.expect("bob is served as before");
}

/// Signs in, then sends one byte of a frame every 100 ms until the server has
/// had enough; answers how long that took.
async fn trickle(server: String, name: &str) -> Duration {
    let (mut client, _) = Client::registered(&server, name).await;
    let began = Instant::now();
    let mut bytes = [0x3f, 0xff].into_iter().chain(std::iter::repeat(b'{'));
    loop {
        let byte = bytes.next().expect("endless");
        if client.write(&[byte]).await.is_err() || client.is_closed_within(Duration::from_millis(100)).await {
            return began.elapsed();
        }
    }
}

/// The sum of a metric over the fleet's servers.
pub(super) async fn metric(fleet: &Fleet, name: &str) -> f64 {
    let mut sum = 0.0;
    for process in fleet.line.processes.iter().filter(|process| process.role == "server") {
        let (_, page) = super::rest::probe(&process.http, "/metrics").await;
        let of_name = page.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
        sum += of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>();
    }
    sum
}

/// A failure is what its code says.
pub(super) fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, Failure>, code: &str) {
    match outcome {
        Err(failure) => assert_eq!(failure.code(), code, "{failure:?}"),
        Ok(value) => panic!("{code} was expected, not {value:?}"),
    }
}
