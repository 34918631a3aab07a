//! Clients that can't be redirected.

use super::{
    peer::{framed, load},
    *,
};
use fastchat_wire::{Code, chat::assign::Assign, chat::assign::Assigned, link::load::Load};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const PROXY: Assign = Assign {
    hint: None,
    resume: false,
    move_id: None,
    proxy: true,
};

/// A server whose clients are taken by the test.
async fn server(balancer: &Balancer) -> (Peer, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut attach = attach_as("s1", 0);
    attach.address = listener.local_addr().unwrap().to_string();
    let mut link = Peer::dial(balancer.links).await;
    assert!(link.ask(&attach).await.failure().is_none());
    (link, listener)
}

async fn piped(balancer: &Balancer, listener: &TcpListener) -> (Peer, Assigned, TcpStream) {
    let mut client = balancer.client().await;
    let assigned: Assigned = client.ask(&PROXY).await.parse().unwrap();
    assert_eq!((assigned.server.as_str(), assigned.address.as_deref()), ("s1", None));
    let (server, _) = timeout(PATIENCE, listener.accept()).await.expect("it is dialled").unwrap();
    (client, assigned, server)
}

async fn read(stream: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    timeout(PATIENCE, stream.read_exact(&mut read)).await.expect("it comes").unwrap();
    read
}

/// It must end.
async fn ends(stream: &mut TcpStream) {
    let read = timeout(PATIENCE, stream.read(&mut [0; 16])).await.expect("it ends");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test]
async fn bytes_go_both_ways_as_they_are_and_what_was_sent_early_goes_first() {
    let balancer = Balancer::start("least-load").await;
    let (_link, listener) = server(&balancer).await;
    let mut client = balancer.client().await;
    let mut early = bytes::BytesMut::from(&framed(r#"{"op":"assign","id":1,"proxy":true}"#)[..]);
    early.extend_from_slice(b"\0\x01 no frame at all");
    client.send(&early).await;
    assert!(client.response().await.failure().is_none());
    let (mut server, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    assert_eq!(read(&mut server, 18).await, b"\0\x01 no frame at all");
    let long: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let (sent, got) = tokio::join!(server.write_all(&long), read(&mut client.stream, long.len()));
    sent.unwrap();
    assert_eq!(got, long);
    let (sent, got) = tokio::join!(client.stream.write_all(&long), read(&mut server, long.len()));
    sent.unwrap();
    assert_eq!(got, long);
    assert_eq!(balancer.metric("fastchat_balancer_piped_bytes_total", "down"), 1_000_000.0);
    assert_eq!(balancer.metric("fastchat_balancer_pipes", ""), 1.0);
}

#[tokio::test]
async fn a_piped_client_counts_like_any_other() {
    let mut balancer = Balancer::start("least-load").await;
    let (mut link, listener) = server(&balancer).await;
    let (_client, assigned, _server) = piped(&balancer, &listener).await;
    let counts = |status: &BalancerStatus| status.servers.first().map(|server| (server.connections, server.reserved));
    balancer.reported(|_, status| counts(status) == Some((0, 1))).await;
    let redeemed = Load {
        redeemed: vec![assigned.ticket],
        ..load(1)
    };
    link.tell(&redeemed).await;
    balancer.reported(|_, status| counts(status) == Some((1, 0))).await;
}

#[tokio::test]
async fn a_half_that_is_shut_is_passed_on_and_either_end_ends_both() {
    let balancer = Balancer::start("least-load").await;
    let (_link, listener) = server(&balancer).await;
    let (mut client, _, mut server) = piped(&balancer, &listener).await;
    client.stream.shutdown().await.unwrap();
    ends(&mut server).await;
    server.write_all(b"last words").await.unwrap();
    assert_eq!(read(&mut client.stream, 10).await, b"last words");
    drop(server);
    ends(&mut client.stream).await;
    let (mut client, _, server) = piped(&balancer, &listener).await;
    drop(server);
    ends(&mut client.stream).await;
    drop(client);
    while balancer.metric("fastchat_balancer_pipes", "") > 0.0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn pipes_are_few_and_silent_ones_and_those_of_unreachable_servers_are_closed() {
    let tight = Limits {
        pipes_max: 1,
        pipe_quiet: Duration::from_secs(1),
        ..limits()
    };
    let balancer = Balancer::start_with("least-load", tight).await;
    let (_link, listener) = server(&balancer).await;
    let (mut client, _, mut server) = piped(&balancer, &listener).await;
    let refused = balancer.client().await.ask(&PROXY).await.failure().unwrap();
    assert_eq!(refused.code, Code::Overloaded);
    assert_eq!(balancer.metric("fastchat_balancer_limited_total", "balancer-pipes"), 1.0);
    ends(&mut client.stream).await;
    ends(&mut server).await;
    drop(listener);
    let mut client = balancer.client().await;
    let answered = timeout(PATIENCE, async {
        // The place of the one before is free a moment later.
        while client.ask(&PROXY).await.failure().is_some() {}
    });
    answered.await.expect("a place");
    ends(&mut client.stream).await;
}

#[tokio::test]
async fn what_the_server_does_not_read_is_not_read_from_the_client() {
    let balancer = Balancer::start("least-load").await;
    let (_link, listener) = server(&balancer).await;
    let (mut client, _, _server) = piped(&balancer, &listener).await;
    let chunk = vec![7; 1 << 20];
    let mut taken = 0;
    while timeout(Duration::from_millis(300), client.stream.write_all(&chunk)).await.is_ok() {
        taken += chunk.len();
        assert!(taken < 64 << 20, "somebody holds {taken} bytes");
    }
}
