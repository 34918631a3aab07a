//! Crowds of clients that mean harm, with an honest pair beside them.

use super::{Client, Fleet, PATIENCE, fleet::limits};
use crate::server::Limits;
use fastchat_wire::{
    Block, Code, LogId,
    chat::{create::ConversationKind, fetch::Fetch},
    control::limits::Rate,
    encode_request,
};
use std::time::Duration;
use tokio::{
    io::AsyncWriteExt,
    task::JoinSet,
    time::{sleep, timeout},
};

/// Clients of each kind.
const CROWD: usize = 24;
/// So long a frame, and a sign-in, may take here.
const SHORT: Duration = Duration::from_millis(1_500);

/// Two people and their conversation.
struct Honest {
    alice: Client,
    bob: Client,
    log: LogId,
}

impl Honest {
    async fn come(fleet: &Fleet) -> Self {
        let mut alice = fleet.register(0, "alice").await;
        let bob = fleet.register(0, "bob").await;
        let log = alice.create(ConversationKind::Direct, &[&bob]).await;
        Self { alice, bob, log }
    }

    /// They write to each other, and a third one may come.
    async fn are_served(&mut self, fleet: &Fleet) {
        let chat = async {
            for _ in 0..20 {
                let seq = self.alice.append(self.log, "hello").await.seq;
                assert_eq!(self.bob.pushed_from(self.log, seq).await.block, "hello");
            }
            let mut again = fleet.client(0).await;
            again.resume(&self.alice).await;
        };
        timeout(PATIENCE, chat).await.expect("an honest client is not served");
    }
}

async fn with_short_times() -> Fleet {
    Fleet::limited(Limits {
        frame: SHORT,
        sign_in: SHORT,
        ..limits()
    })
    .await
}

/// A crowd that ends with the test.
fn crowd<F: Future<Output = ()> + Send + 'static>(one: impl Fn(usize) -> F) -> JoinSet<()> {
    (0..CROWD).map(one).collect()
}

#[tokio::test]
async fn clients_that_drip_or_never_finish_a_frame_or_say_nothing_are_closed() {
    let fleet = with_short_times().await;
    let mut honest = Honest::come(&fleet).await;
    let address = fleet.servers[0].clients;
    let mut hostile = crowd(move |n| async move {
        let mut client = Client::silent(address).await;
        match n % 3 {
            0 => {}
            1 => client.send(&[0, 200, b'{']).await,
            _ => {
                client.send(&[0, 200]).await;
                while client.stream.write_all(b" ").await.is_ok() {
                    sleep(Duration::from_millis(20)).await;
                }
                return;
            }
        }
        assert_eq!(client.end().await, None);
    });
    honest.are_served(&fleet).await;
    while let Some(ended) = timeout(PATIENCE, hostile.join_next()).await.expect("not closed") {
        ended.unwrap();
    }
    let closed = |fleet: &Fleet| {
        let reasons = ["silent", "slow"].map(|reason| fleet.servers[0].metric("connections_closed_total", reason));
        reasons.iter().sum::<f64>()
    };
    assert!(closed(&fleet) >= CROWD as f64, "{}", closed(&fleet));
    honest.are_served(&fleet).await;
}

#[tokio::test]
async fn blocks_that_are_announced_and_never_come_take_only_the_room_there_is() {
    let mut fleet = with_short_times().await;
    let mut honest = Honest::come(&fleet).await;
    fleet.servers[0].limit(|limits| limits.server.blocks_bytes = 8 << 20).await;
    let address = fleet.servers[0].clients;
    let token = honest.bob.token.clone();
    let mut hostile = crowd(move |_| {
        let token = token.clone();
        async move {
            let mut client = Client::dial(address).await;
            client.resume_with(token).await;
            client.send_header(r#"{"op":"ping","id":9,"content-length":4194304}"#).await;
            client.end().await;
        }
    });
    fleet.servers[0]
        .until("limited_total", "server-blocks", |waiting| waiting > 0.0)
        .await;
    honest.are_served(&fleet).await;
    hostile.shutdown().await;
    // Their room is given back: a block of the greatest length comes through.
    honest.alice.append(honest.log, &"x".repeat(3 << 20)).await;
}

#[tokio::test]
async fn a_crowd_that_never_reads_is_behind_and_holds_nobody_up() {
    let fleet = Fleet::of(1).await;
    let mut honest = Honest::come(&fleet).await;
    let archive = LogId::archive_of(honest.bob.account);
    for _ in 0..4 {
        honest.bob.append(archive, &"x".repeat(1 << 20)).await;
    }
    let fetch = Fetch {
        log: archive,
        after: 0,
        limit: None,
    };
    let flood = encode_request(7, &fetch, &Block::none()).unwrap().repeat(64);
    let (address, token) = (fleet.servers[0].clients, honest.bob.token.clone());
    let mut hostile = crowd(move |_| {
        let (token, flood) = (token.clone(), flood.clone());
        async move {
            let mut client = Client::dial(address).await;
            client.resume_with(token).await;
            while client.stream.write_all(&flood).await.is_ok() {}
        }
    });
    fleet.servers[0].until("connections", "", |n| n >= (CROWD + 2) as f64).await;
    honest.are_served(&fleet).await;
    // Each is answered until its queue is full, and then read no more.
    let served = fleet.servers[0].metric("requests_total", "fetch");
    assert!(
        served < (CROWD * 20) as f64,
        "{served} answers of a MiB each are made for who doesn't read"
    );
    hostile.shutdown().await;
}

#[tokio::test]
async fn floods_of_bad_frames_are_answered_closed_and_counted() {
    let fleet = with_short_times().await;
    let mut honest = Honest::come(&fleet).await;
    let address = fleet.servers[0].clients;
    let mut hostile = crowd(move |n| async move {
        let bad: &[u8] = if n % 2 == 0 { &[0, 1, 0] } else { b"\x00\x02[]" };
        for _ in 0..4 {
            let mut client = Client::silent(address).await;
            client.send(&bad.repeat(100)).await;
            assert_eq!(client.end().await, Some(Code::BadFrame));
        }
    });
    honest.are_served(&fleet).await;
    while let Some(ended) = timeout(PATIENCE, hostile.join_next()).await.expect("not closed") {
        ended.unwrap();
    }
    let closed = fleet.servers[0].metric("connections_closed_total", "bad-frame");
    assert_eq!(closed, (CROWD * 4) as f64);
}

#[tokio::test]
async fn a_flood_of_sign_ins_from_one_address_computes_few_hashes_and_ends_closed() {
    let mut fleet = Fleet::of(1).await;
    let mut honest = Honest::come(&fleet).await;
    let strict = |limits: &mut fastchat_wire::control::Limits| {
        limits.exempt.clear();
        limits.address.sign_ins = Rate { per_s: 0.01, burst: 5 };
        limits.connection.refusals = Rate { per_s: 0.01, burst: 20 };
    };
    fleet.servers[0].limit(strict).await;
    let address = fleet.servers[0].clients;
    let mut hostile = crowd(move |_| async move {
        let mut client = Client::dial(address).await;
        let guess = r#"{"op":"login","id":1,"username":"alice","auth":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
        let length = u16::try_from(guess.len()).unwrap().to_be_bytes();
        let flood = [&length, guess.as_bytes()].concat().repeat(50);
        // It may be closed before it has said all of it.
        let _ = client.stream.write_all(&flood).await;
        assert_eq!(client.end().await, Some(Code::RateLimited));
    });
    while let Some(ended) = timeout(PATIENCE, hostile.join_next()).await.expect("not closed") {
        ended.unwrap();
    }
    assert_eq!(fleet.servers[0].metric("errors_total", "bad-credentials"), 5.0);
    assert!(fleet.servers[0].metric("limited_total", "address-sign-ins") >= (CROWD * 20) as f64);
    assert_eq!(fleet.servers[0].metric("connections_closed_total", "limited"), CROWD as f64);
    honest.are_served(&fleet).await;
}
