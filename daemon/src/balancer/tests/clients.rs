//! What clients notice.

use super::{peer::framed, *};
use crate::ticket;
use fastchat_wire::{
    Code,
    chat::{assign::Assign, hello::Hello, ping::Ping},
    encode_request,
    frame::Block,
    limits::HEADER_BYTES_MAX_UNAUTHENTICATED,
};
use tokio::io::AsyncWriteExt;

/// What a failed response says: the request, where it could be read, and the code.
type Failure = (Option<u64>, Code);

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[tokio::test]
async fn assign_gives_a_server_and_a_ticket_that_it_accepts() {
    let balancer = Balancer::start("least-load").await;
    let _s1 = balancer.server("s1", 5).await;
    let _s2 = balancer.server("s2", 4).await;
    let assigned = balancer.client().await.assign().await;
    assert_eq!(
        (assigned.server.as_str(), assigned.address.as_deref()),
        ("s2", Some("s2.test:7110"))
    );
    assert_eq!((assigned.wait_ms, assigned.expires_in_ms), (0, 10_000));
    assert!(ticket::verify(&fleet_key(), "s2", &assigned.ticket, now_ms()).is_some());
    assert!(ticket::verify(&fleet_key(), "s2", &assigned.ticket, now_ms() + 10_001).is_none());
    assert!(ticket::verify(&fleet_key(), "s1", &assigned.ticket, now_ms()).is_none());
    assert_eq!(balancer.metric("fastchat_balancer_assigns_total", "s2"), 1.0);
}

#[tokio::test]
async fn least_load_puts_three_clients_on_three_servers() {
    let balancer = Balancer::start("least-load").await;
    let _servers = (
        balancer.server("s1", 0).await,
        balancer.server("s2", 0).await,
        balancer.server("s3", 0).await,
    );
    let mut client = balancer.client().await;
    let mut servers = [
        client.assign().await.server,
        client.assign().await.server,
        client.assign().await.server,
    ];
    servers.sort();
    assert_eq!(servers, ["s1", "s2", "s3"]);
}

#[tokio::test]
async fn without_a_server_a_client_is_told_when_to_ask_again() {
    let balancer = Balancer::start("least-load").await;
    let mut client = balancer.client().await;
    let failure = client.ask(&Assign::default()).await.failure().unwrap();
    assert_eq!(failure.code, Code::NoServer);
    assert!(failure.retry_after_ms.unwrap() > 0);
    let _s1 = balancer.server("s1", 0).await;
    assert_eq!(client.assign().await.server, "s1", "the connection is still good");
    assert_eq!(balancer.metric("fastchat_balancer_assign_failures_total", "no-server"), 1.0);
}

#[tokio::test]
async fn a_frame_sent_byte_by_byte_is_a_frame() {
    let balancer = Balancer::start("random").await;
    let _s1 = balancer.server("s1", 0).await;
    let mut client = balancer.client().await;
    for byte in framed(r#"{"op":"assign","id":7}"#) {
        client.send(&[byte]).await;
        client.stream.flush().await.unwrap();
    }
    assert_eq!(
        client
            .response()
            .await
            .parse::<fastchat_wire::chat::assign::Assigned>()
            .unwrap()
            .server,
        "s1"
    );
}

#[tokio::test]
async fn pipelined_assigns_are_answered_in_their_order() {
    let balancer = Balancer::start("round-robin").await;
    let _servers = (balancer.server("s1", 0).await, balancer.server("s2", 0).await);
    let mut client = balancer.client().await;
    let pipelined: Vec<u8> = (1..=500)
        .flat_map(|id| encode_request(id, &Assign::default(), &Block::none()).unwrap())
        .collect();
    client.send(&pipelined).await;
    for id in 1..=500 {
        let frame = client.response().await;
        assert!(matches!(frame.head.kind, fastchat_wire::Kind::Response { re: Some(re), failed: false } if re == id));
    }
    assert_eq!(balancer.metric("fastchat_balancer_assigns_total", "s1"), 250.0);
    assert_eq!(balancer.metric("fastchat_balancer_frames_in_total", ""), 500.0);
}

#[tokio::test]
async fn a_hint_one_byte_over_is_refused_and_the_connection_goes_on() {
    let balancer = Balancer::start("random").await;
    let _s1 = balancer.server("s1", 0).await;
    let mut client = balancer.client().await;
    let hinted = |bytes: usize| Assign {
        hint: Some("ü".repeat(bytes / 2) + &"x".repeat(bytes % 2)),
        ..Assign::default()
    };
    assert_eq!(client.ask(&hinted(65)).await.failure().unwrap().code, Code::BadRequest);
    assert!(client.ask(&hinted(64)).await.failure().is_none());
}

#[tokio::test]
async fn only_assign_is_served() {
    let balancer = Balancer::start("random").await;
    let mut client = balancer.client().await;
    let hello = Hello {
        version: 1,
        agent: "test".into(),
        ticket: None,
    };
    assert_eq!(client.ask(&hello).await.failure().unwrap().code, Code::BadRequest);
    assert_eq!(client.ask(&Ping {}).await.failure().unwrap().code, Code::UnknownOp);
    client.send_header(r#"{"op":"dance","id":9}"#).await;
    assert_eq!(client.failure().await, (Some(9), Code::UnknownOp));
    client.send_header(r#"{"op":"assign","id":10,"resume":"yes"}"#).await;
    assert_eq!(client.failure().await, (Some(10), Code::BadRequest));
    client.send_header(r#"{"event":"signal"}"#).await;
    client.send_header(r#"{"op":"assign","id":11}"#).await;
    assert_eq!(client.failure().await, (Some(11), Code::NoServer), "an event is not answered");
}

#[tokio::test]
async fn broken_framing_is_answered_and_closed() {
    let balancer = Balancer::start("random").await;
    let too_long = u16::try_from(HEADER_BYTES_MAX_UNAUTHENTICATED + 1).unwrap().to_be_bytes();
    let cases: [(&[u8], Failure); 6] = [
        (&[0, 1], (None, Code::BadFrame)),
        (&too_long, (None, Code::TooLarge)),
        (&framed("[1]"), (None, Code::BadFrame)),
        (
            &framed(r#"{"op":"assign","id":3,"content-length":65537}"#),
            (Some(3), Code::TooLarge),
        ),
        (
            &framed(r#"{"op":"assign","id":4,"content-length":3,"parts":[1,1]}"#),
            (Some(4), Code::BadFrame),
        ),
        (
            &framed(r#"{"op":"assign","id":5,"resume":true,"resume":true}"#),
            (Some(5), Code::BadFrame),
        ),
    ];
    for (bytes, expected) in cases {
        let mut client = balancer.client().await;
        client.send(bytes).await;
        // What follows is discarded, not answered.
        client.send(&framed(r#"{"op":"assign","id":6}"#)).await;
        assert_eq!(client.failure().await, expected);
        assert!(client.next().await.is_none(), "closed after {expected:?}");
    }
}

#[tokio::test]
async fn a_client_that_keeps_sending_after_broken_framing_is_cut_off() {
    let limits = Limits {
        discard: Duration::from_millis(50),
        ..limits()
    };
    let balancer = Balancer::start_with("random", limits).await;
    let mut client = balancer.client().await;
    client.send(&[0, 0]).await;
    let flood = async { while client.stream.write_all(&[0; 1024]).await.is_ok() {} };
    timeout(PATIENCE, flood).await.expect("still reading");
}

#[tokio::test]
async fn a_silent_client_is_closed() {
    let limits = Limits {
        quiet: Duration::from_millis(50),
        ..limits()
    };
    let balancer = Balancer::start_with("random", limits).await;
    assert!(balancer.client().await.next().await.is_none());
}

#[tokio::test]
async fn a_frame_that_never_completes_is_closed_however_busily_it_is_sent() {
    let limits = Limits {
        frame: Duration::from_millis(100),
        ..limits()
    };
    let balancer = Balancer::start_with("random", limits).await;
    let mut client = balancer.client().await;
    let drip = async {
        while client.stream.write_all(&[16]).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, drip).await.expect("still reading");
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed() {
    let limits = Limits {
        quiet: Duration::from_millis(100),
        ..limits()
    };
    let balancer = Balancer::start_with("random", limits).await;
    let mut client = balancer.client().await;
    let assigns = framed(r#"{"op":"assign","id":1}"#).repeat(1_000);
    let flood = async { while client.stream.write_all(&assigns).await.is_ok() {} };
    timeout(PATIENCE, flood).await.expect("still reading");
}

#[tokio::test]
async fn a_client_that_hoards_tickets_is_told_to_wait() {
    let limits = Limits {
        tickets_max: 3,
        ..limits()
    };
    let balancer = Balancer::start_with("random", limits).await;
    let _s1 = balancer.server("s1", 0).await;
    let mut client = balancer.client().await;
    for _ in 0..3 {
        client.assign().await;
    }
    let failure = client.ask(&Assign::default()).await.failure().unwrap();
    assert_eq!(failure.code, Code::Overloaded);
    assert!(failure.retry_after_ms.is_some());
}

#[tokio::test]
async fn a_client_beyond_the_bound_is_refused_and_served_once_there_is_room() {
    let limits = Limits {
        clients_max: 1,
        ..limits()
    };
    let balancer = Balancer::start_with("random", limits).await;
    let _s1 = balancer.server("s1", 0).await;
    let mut first = balancer.client().await;
    first.assign().await;
    let mut second = balancer.client().await;
    assert_eq!(second.failure().await, (None, Code::Overloaded));
    second.expect_end().await;
    drop(first);
    while balancer.metric("fastchat_balancer_connections", "") > 0.0 {
        tokio::task::yield_now().await;
    }
    balancer.client().await.assign().await;
}
