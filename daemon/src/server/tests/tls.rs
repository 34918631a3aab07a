//! Servers that speak TLS: to each other, and to clients that do and that don't.

use super::fleet::{Fleet, limits};
use crate::{
    net::{testing::Authority, transport::Transport},
    server::Limits,
};
use fastchat_wire::{Block, chat::hello::Hello, encode_request};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const NAME: &str = "chat.example.org";
const FAILURES: &str = "tls_handshake_failures_total";

async fn fleet(count: usize, limits: Limits) -> (Fleet, Transport) {
    let transport = Transport::new(&Authority::new().member(NAME, NAME)).unwrap();
    (Fleet::protected(count, limits, transport.clone()).await, transport)
}

fn hello() -> bytes::Bytes {
    let hello = Hello {
        version: 1,
        agent: "x".into(),
        ticket: None,
    };
    encode_request(1, &hello, &Block::none()).unwrap()
}

#[tokio::test]
async fn servers_hear_each_other_and_a_client_is_served() {
    // Starting waits until every server hears every other one.
    let (fleet, transport) = fleet(2, limits()).await;
    let mut client = transport.dial(&fleet.servers[0].clients.to_string()).await.unwrap();
    client.write_all(&hello()).await.unwrap();
    client.flush().await.unwrap();
    let mut answer = vec![0; 64];
    client.read_exact(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer[2..]).starts_with("{\"re\":1,\"server\":\"s1\""));
}

#[tokio::test]
async fn a_plain_client_is_told_and_counted() {
    let (fleet, _) = fleet(1, limits()).await;
    let server = &fleet.servers[0];
    let mut client = TcpStream::connect(server.clients).await.unwrap();
    client.write_all(&hello()).await.unwrap();
    let mut told = Vec::new();
    client.read_to_end(&mut told).await.unwrap();
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("speaks TLS only"), "{told}");
    drop(client);
    server.until(FAILURES, "plain", |count| count == 1.0).await;
    server.until("connections_closed_total", "handshake", |count| count == 1.0).await;
}

#[tokio::test]
async fn a_handshake_has_no_more_time_than_the_sign_in_that_follows_it() {
    let brief = Limits {
        sign_in: Duration::from_millis(200),
        ..limits()
    };
    let (fleet, _) = fleet(1, brief).await;
    let server = &fleet.servers[0];
    let mut client = TcpStream::connect(server.clients).await.unwrap();
    // The first bytes of a handshake.
    client.write_all(&[0x16, 3, 1]).await.unwrap();
    server.until(FAILURES, "slow", |count| count == 1.0).await;
    let mut rest = Vec::new();
    // At its end or reset: either way over.
    let _ = client.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_server_with_no_place_for_another_sign_in_says_so_over_tls_too() {
    let (mut fleet, transport) = fleet(1, limits()).await;
    let server = &mut fleet.servers[0];
    server.limit(|limits| limits.server.signing_in = 1).await;
    let address = server.clients.to_string();
    let first = transport.dial(&address).await.unwrap();
    let mut second = transport.dial(&address).await.unwrap();
    let mut told = Vec::new();
    second.read_to_end(&mut told).await.unwrap();
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("overloaded") && told.contains("retry-after-ms"), "{told}");
    assert_eq!(server.metric("limited_total", "server-signing-in"), 1.0);
    drop(first);
}
