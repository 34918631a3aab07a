//! Blobs over real sockets: what they cost the server, and that the spec rules them.

use super::{Client, Fleet, PATIENCE};
use fastchat_wire::{
    BlobId, Block, Code, Kind, LogId,
    chat::{
        blob_create::{BlobCreate, BlobCreated},
        blob_get::BlobGet,
        blob_put::BlobPut,
        create::ConversationKind,
    },
    control::BlobPolicy,
    limits::BLOB_CHUNK_BYTES_MAX,
};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

const CHUNK: u64 = BLOB_CHUNK_BYTES_MAX as u64;
/// A range with its frame's header.
const RANGE_IN_MEMORY: f64 = CHUNK as f64 + 256.0;

fn announce(conversation: LogId, size: u64) -> BlobCreate {
    BlobCreate {
        blob: Uuid::now_v7().into(),
        size,
        conversation,
    }
}

/// The bytes of a piece.
fn piece(number: u64) -> Vec<u8> {
    vec![u8::try_from(number % 251).unwrap(); BLOB_CHUNK_BYTES_MAX]
}

async fn upload(client: &mut Client, conversation: LogId, pieces: u64) -> BlobId {
    let create = announce(conversation, pieces * CHUNK);
    client.ask(&create).await.unwrap();
    let blob = create.blob;
    for number in 0..pieces {
        let put = BlobPut {
            blob,
            offset: number * CHUNK,
        };
        client.ask_with(&put, &Block::binary(piece(number))).await.unwrap();
    }
    blob
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_two_ranges_of_memory_however_much_it_asked_for() {
    const PIECES: u64 = 16;
    const ASKED: u64 = 400;
    let fleet = Fleet::of(1).await;
    let server = &fleet.servers[0];
    let (mut alice, bob) = (fleet.register(0, "alice").await, fleet.register(0, "bob").await);
    let conversation = alice.create(ConversationKind::Direct, &[&bob]).await;
    let blob = upload(&mut alice, conversation, PIECES).await;
    assert!(
        server.metric("blob_bytes_in_memory", "") == 0.0,
        "what was stored is no longer in memory"
    );
    // Far more than the sockets between here and there take.
    let mut first = 0;
    for number in 0..ASKED {
        let get = BlobGet {
            blob,
            offset: number % PIECES * CHUNK,
            length: CHUNK,
        };
        let id = alice.request(&get, &Block::none()).await;
        first = if number == 0 { id } else { first };
    }
    server.until("blob_bytes_in_memory", "", |bytes| bytes > CHUNK as f64 * 1.5).await;
    for number in 0..ASKED {
        assert!(server.metric("blob_bytes_in_memory", "") <= 2.0 * RANGE_IN_MEMORY);
        let answer = alice.answer().await;
        assert!(matches!(answer.head.kind, Kind::Response { re, .. } if re == Some(first + number)));
        assert!(answer.block == piece(number % PIECES));
    }
    server.until("blob_bytes_in_memory", "", |bytes| bytes == 0.0).await;
}

#[tokio::test]
async fn a_reader_that_goes_away_gives_its_memory_back() {
    let fleet = Fleet::of(1).await;
    let server = &fleet.servers[0];
    let (mut alice, bob) = (fleet.register(0, "alice").await, fleet.register(0, "bob").await);
    let conversation = alice.create(ConversationKind::Direct, &[&bob]).await;
    let blob = upload(&mut alice, conversation, 1).await;
    for _ in 0..400 {
        let get = BlobGet {
            blob,
            offset: 0,
            length: CHUNK,
        };
        alice.request(&get, &Block::none()).await;
    }
    server.until("blob_bytes_in_memory", "", |bytes| bytes > CHUNK as f64 * 1.5).await;
    drop(alice);
    server.until("blob_bytes_in_memory", "", |bytes| bytes == 0.0).await;
}

#[tokio::test]
async fn the_spec_changes_live_what_an_account_may_take() {
    let mut fleet = Fleet::of(1).await;
    let (mut alice, bob) = (fleet.register(0, "alice").await, fleet.register(0, "bob").await);
    let conversation = alice.create(ConversationKind::Direct, &[&bob]).await;
    alice.ask(&announce(conversation, 100)).await.unwrap();
    fleet.servers[0].respec(|part| part.limits.blobs.blob_bytes_max = 99);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match alice.ask(&announce(conversation, 100)).await {
            Err(error) => {
                assert_eq!(error.code, Code::QuotaExceeded);
                assert!(error.message.contains("99"), "{}", error.message);
                break;
            }
            Ok(_) => assert!(Instant::now() < deadline, "the spec is not followed"),
        }
        sleep(Duration::from_millis(5)).await;
    }
    alice.ask(&announce(conversation, 99)).await.unwrap();
}

#[tokio::test]
async fn one_of_the_servers_removes_what_expired_and_its_sender_begins_anew() {
    let mut fleet = Fleet::of(2).await;
    let (mut alice, bob) = (fleet.register(0, "alice").await, fleet.register(1, "bob").await);
    let conversation = alice.create(ConversationKind::Direct, &[&bob]).await;
    let create = announce(conversation, 2 * CHUNK);
    alice.ask(&create).await.unwrap();
    let put = |offset| BlobPut { blob: create.blob, offset };
    alice.ask_with(&put(0), &Block::binary(piece(0))).await.unwrap();
    for server in &mut fleet.servers {
        server.respec(|part| {
            part.limits.blobs = BlobPolicy {
                upload_ms: 1,
                sweep_ms: 100,
                ..BlobPolicy::default()
            }
        });
    }
    let removed = || -> f64 {
        let of = |server: &super::fleet::Server| server.metric("blobs_removed_total", "unfinished");
        fleet.servers.iter().map(of).sum()
    };
    let deadline = Instant::now() + PATIENCE;
    while removed() < 1.0 {
        assert!(Instant::now() < deadline, "nobody removes it");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(removed() == 1.0, "once");
    for server in &mut fleet.servers {
        server.respec(|part| part.limits.blobs = BlobPolicy::default());
        let generation = server.spec.generation as f64;
        server.until("generation", "", |applied| applied >= generation).await;
    }
    let refused = alice.ask_with(&put(CHUNK), &Block::binary(piece(1))).await;
    assert_eq!(refused.unwrap_err().code, Code::NotFound);
    let BlobCreated { offset, .. } = alice.ask(&create).await.unwrap();
    assert_eq!(offset, 0, "it says from where");
    for number in 0..2 {
        alice.ask_with(&put(number * CHUNK), &Block::binary(piece(number))).await.unwrap();
    }
}
