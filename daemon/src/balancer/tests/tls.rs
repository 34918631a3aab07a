//! A balancer that speaks TLS.

use super::*;
use crate::net::testing::Authority;
use fastchat_wire::{Block, chat::assign::Assign, encode_request};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn clients_and_servers_are_answered_over_tls_and_told_so_otherwise() {
    let name = "chat.example.org";
    let transport = Transport::new(&Authority::new().member(name, name)).unwrap();
    let balancer = Balancer::start_protected("random", limits(), transport.clone()).await;
    let assign = encode_request(1, &Assign::default(), &Block::none()).unwrap();
    for (address, code) in [(balancer.clients, "no-server"), (balancer.links, "unauthenticated")] {
        let mut peer = transport.dial(&address.to_string()).await.unwrap();
        peer.write_all(&assign).await.unwrap();
        peer.flush().await.unwrap();
        let mut answer = vec![0; 48];
        timeout(PATIENCE, peer.read_exact(&mut answer)).await.unwrap().unwrap();
        assert!(
            String::from_utf8_lossy(&answer).contains(code),
            "{}",
            String::from_utf8_lossy(&answer)
        );

        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(&assign).await.unwrap();
        let mut told = Vec::new();
        timeout(PATIENCE, plain.read_to_end(&mut told)).await.unwrap().unwrap();
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains("speaks TLS only"), "{told}");
    }
}

#[tokio::test]
async fn a_full_balancer_says_so_over_tls_too() {
    let name = "chat.example.org";
    let transport = Transport::new(&Authority::new().member(name, name)).unwrap();
    let limits = Limits {
        clients_max: 1,
        ..limits()
    };
    let balancer = Balancer::start_protected("random", limits, transport.clone()).await;
    let address = balancer.clients.to_string();
    let _first = transport.dial(&address).await.unwrap();
    let mut second = transport.dial(&address).await.unwrap();
    let mut told = Vec::new();
    timeout(PATIENCE, second.read_to_end(&mut told)).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("overloaded") && told.contains("retry-after-ms"), "{told}");
}
