//! Clients that are slow, silent, wrong or gone.

use super::{Client, Fleet, PATIENCE, client::append, fleet::limits};
use crate::server::Limits;
use fastchat_wire::{
    AccountId, Code, DeviceId,
    chat::{
        behind::Behind,
        commit::{Commit, CommitLists},
        create::ConversationKind,
        fetch::Fetch,
        logout::Logout,
        mark::Mark,
        ping::Ping,
        trim::Trim,
    },
    encode_request,
    frame::Block,
    limits::{BLOCK_BYTES_MAX_UNAUTHENTICATED, COMMIT_ACCOUNTS_MAX},
};
use std::time::{Duration, Instant};
use tokio::{
    io::AsyncWriteExt,
    time::{sleep, timeout},
};

/// A time that a test waits for.
const SHORT: Duration = Duration::from_millis(150);
/// A time that a test must not let pass, on a busy machine either.
const SILENT: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn a_frame_that_comes_byte_by_byte_forever_ends_its_connection() {
    let fleet = Fleet::limited(Limits { frame: SHORT, ..limits() }).await;
    let mut client = fleet.client(0).await;
    let began = Instant::now();
    let slowly = async {
        client.send(&[0, 200]).await;
        while client.stream.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, slowly).await.unwrap();
    assert!(began.elapsed() >= SHORT);
    fleet.servers[0].until("connections_closed_total", "slow", |n| n == 1.0).await;
    fleet.servers[0].until("connections", "", |n| n == 0.0).await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let fleet = Fleet::limited(Limits {
        ping_interval: SILENT / 2,
        ..limits()
    })
    .await;
    let mut client = fleet.register(0, "alice").await;
    // Longer than a silent one is borne with.
    for _ in 0..10 {
        sleep(SILENT / 8).await;
        client.ask(&Ping {}).await.unwrap();
    }
    let began = Instant::now();
    assert_eq!(client.end().await, None);
    assert!(began.elapsed() >= SILENT / 2);
    fleet.servers[0].until("connections_closed_total", "silent", |n| n == 1.0).await;
}

#[tokio::test]
async fn who_does_not_sign_in_in_time_is_closed_whatever_it_says() {
    let fleet = Fleet::limited(Limits {
        sign_in: SHORT,
        ..limits()
    })
    .await;
    let mut client = fleet.client(0).await;
    let began = Instant::now();
    let announced = format!(r#"{{"op":"ping","id":9,"content-length":{BLOCK_BYTES_MAX_UNAUTHENTICATED}}}"#);
    client.send_header(&announced).await;
    let slowly = async {
        while client.stream.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, slowly)
        .await
        .expect("its deadline is forgotten while a block comes");
    assert!(began.elapsed() < PATIENCE / 2);
}

#[tokio::test]
async fn a_verbs_key_given_twice_ends_the_connection_with_bad_frame() {
    let fleet = Fleet::of(1).await;
    let mut client = fleet.register(0, "alice").await;
    let log = client.account;
    client
        .send_header(&format!(r#"{{"op":"fetch","id":7,"log":"{log}","after":1,"after":2}}"#))
        .await;
    assert_eq!(client.end().await, Some(Code::BadFrame));
    fleet.servers[0].until("connections_closed_total", "bad-frame", |n| n == 1.0).await;
}

#[tokio::test]
async fn numbers_that_no_log_reaches_are_answered_like_the_last_one() {
    let fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    let bob = fleet.register(0, "bob").await;
    let log = alice.create(ConversationKind::Direct, &[&bob]).await;
    for huge in [1 << 53, (1 << 53) + 1, i64::MAX as u64, u64::MAX] {
        let (entries, page) = alice.fetch(log, huge).await;
        assert_eq!((entries.len(), page.more, page.last_seq), (0, false, 1));
        let mark = Mark {
            conversation: log,
            delivered: Some(huge),
            read: Some(huge),
        };
        alice.ask(&mark).await.unwrap();
        let (inbox, through) = (fastchat_wire::LogId::inbox_of(alice.device), huge);
        alice.ask(&Trim { log: inbox, through }).await.unwrap();
        let mut conflicting = append(log);
        conflicting.epoch = Some(huge);
        assert_eq!(alice.ask(&conflicting).await.unwrap_err().code, Code::EpochConflict);
    }
    assert_eq!(alice.conversations().await.1[0].read, 1);
    let no_number = r#"{"op":"fetch","id":99,"log":"LOG","after":-1}"#.replace("LOG", &log.to_string());
    alice.send_header(&no_number).await;
    assert_eq!(alice.response(99).await.failure().unwrap().code, Code::BadRequest);
}

#[tokio::test]
async fn who_never_reads_is_told_that_it_is_behind_and_holds_nobody_up() {
    let fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut slow = fleet.register(0, "slow").await;
    let mut bob = fleet.register(0, "bob").await;
    let log = alice.create(ConversationKind::Group, &[&slow, &bob]).await;
    let block = "x".repeat(256 << 10);
    let mut last = 0;
    // More than the sockets between them hold.
    for _ in 0..80 {
        last = alice.append(log, &block).await.seq;
        bob.pushed_from(log, last).await;
    }
    assert!(fleet.servers[0].metric("pushes_dropped_total", "") > 0.0);
    slow.event::<Behind>().await;
    let appended = alice.append(log, "y").await;
    assert_eq!(appended.seq, last + 1);
    assert_eq!(slow.pushed_from(log, appended.seq).await.block, "y");
    let (entries, _) = slow.fetch(log, last - 1).await;
    assert_eq!(entries[0].event.seq, last);
}

#[tokio::test]
async fn who_pipelines_and_never_reads_is_not_read_from_either() {
    let fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    let archive = fastchat_wire::LogId::archive_of(alice.account);
    for _ in 0..4 {
        alice.append(archive, &"x".repeat(1 << 20)).await;
    }
    let fetch = encode_request(
        7,
        &Fetch {
            log: archive,
            after: 0,
            limit: None,
        },
        &Block::none(),
    )
    .unwrap();
    let flood = async {
        loop {
            alice.stream.write_all(&fetch).await.unwrap();
        }
    };
    let stalled = timeout(Duration::from_millis(1_500), flood).await;
    assert!(stalled.is_err());
    let served = fleet.servers[0].metric("requests_total", "fetch");
    assert!(served < 40.0, "{served} answers of a MiB each are held for one connection");
}

#[tokio::test]
async fn a_logout_is_answered_before_the_connection_ends() {
    let fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut again = fleet.client(0).await;
    again.resume(&alice).await;
    let pings: Vec<u8> = (0..2_000)
        .flat_map(|n| encode_request(1_000 + n, &Ping {}, &Block::none()).unwrap())
        .collect();
    let logout = encode_request(1, &Logout { everywhere: false }, &Block::none()).unwrap();
    // What follows is not read; the answer arrives all the same.
    alice.send(&[&logout[..], &pings].concat()).await;
    assert_eq!(alice.answer().await.failure(), None);
    alice.end().await;
    again.end().await;
    fleet.servers[0].until("connections", "", |n| n == 0.0).await;
    let mut late = fleet.client(0).await;
    let resume = fastchat_wire::chat::resume::Resume {
        token: alice.token.clone(),
    };
    assert_eq!(late.ask(&resume).await.unwrap_err().code, Code::Unauthenticated);
}

#[tokio::test]
async fn whoever_is_gone_is_not_counted_any_more() {
    let fleet = Fleet::of(1).await;
    let alice = fleet.register(0, "alice").await;
    for _ in 0..20 {
        let mut again: Client = fleet.client(0).await;
        again.resume(&alice).await;
        let archive = fastchat_wire::LogId::archive_of(alice.account);
        again.request(&append(archive), &Block::binary("x".repeat(100_000))).await;
        // Reset: what was sent to it is lost.
        again.stream.set_zero_linger().unwrap();
    }
    fleet.servers[0].until("connections", "", |n| n == 1.0).await;
}

#[tokio::test]
async fn a_client_that_shuts_its_sending_half_still_gets_its_answers() {
    let fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    let archive = fastchat_wire::LogId::archive_of(alice.account);
    let pipelined: Vec<u8> = (0..200)
        .flat_map(|n| encode_request(1_000 + n, &append(archive), &Block::none()).unwrap())
        .collect();
    alice.send(&pipelined).await;
    alice.stream.shutdown().await.unwrap();
    let mut answers = 0;
    while let Some(frame) = alice.read().await {
        answers += usize::from(frame.failure().is_none());
    }
    assert_eq!(answers, 200);
}

#[tokio::test]
async fn a_block_that_waits_for_room_has_its_whole_time_after_that() {
    let frame = SILENT;
    let mut fleet = Fleet::limited(Limits { frame, ..limits() }).await;
    fleet.servers[0].limit(|limits| limits.server.blocks_bytes = 4 << 20).await;
    let mut greedy = fleet.register(0, "greedy").await;
    let mut alice = fleet.register(0, "alice").await;
    let archive = fastchat_wire::LogId::archive_of(alice.account);
    // All the room there is, and then nothing more.
    greedy.send_header(r#"{"op":"ping","id":9,"content-length":4194304}"#).await;
    sleep(frame / 5).await;
    let bytes = encode_request(7, &append(archive), &Block::binary("x".repeat(32 << 10))).unwrap();
    let (half, rest) = bytes.split_at(16 << 10);
    alice.send(half).await;
    greedy.end().await;
    sleep(frame / 2).await;
    alice.send(rest).await;
    assert_eq!(alice.response(7).await.failure(), None);
}

#[tokio::test]
async fn a_commit_names_a_bounded_number_of_accounts() {
    let fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    let log = alice.create(ConversationKind::Group, &[]).await;
    let mut commit = async |add: usize, remove: usize, welcomed: usize| {
        let ids = |count: usize| (0..count).map(|n| (n as u128).to_be_bytes());
        let lists = CommitLists {
            add: ids(add).map(AccountId).collect(),
            remove: ids(remove).map(AccountId).collect(),
            welcome_to: ids(welcomed).map(DeviceId).collect(),
        };
        let commit = Commit {
            conversation: log,
            entry: uuid::Uuid::now_v7().into(),
            welcome_entry: Some(uuid::Uuid::now_v7().into()),
            epoch: 0,
        };
        let block = Block::pieces(&[&serde_json::to_vec(&lists).unwrap()[..], b"commit", b"welcome", b"info"]);
        alice.ask_with(&commit, &block).await.map(|_| ()).unwrap_err().code
    };
    assert_eq!(commit(COMMIT_ACCOUNTS_MAX, 0, 0).await, Code::NotFound, "looked at");
    assert_eq!(commit(COMMIT_ACCOUNTS_MAX, 1, 0).await, Code::BadRequest);
    assert_eq!(commit(0, 0, COMMIT_ACCOUNTS_MAX).await, Code::NotFound);
    assert_eq!(commit(0, 0, COMMIT_ACCOUNTS_MAX + 1).await, Code::BadRequest);
}
