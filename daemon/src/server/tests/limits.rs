//! Each limit: what is at it is given, and one past it is not.

use super::{Client, Fleet, PATIENCE, client::append};
use fastchat_wire::{
    Block, Code, ErrorBody, Kind, LogId, Secret32,
    chat::{
        append::Appended,
        auth_params::AuthParams,
        login::{Login, Method},
        ping::Ping,
        resume::Resume,
    },
    control::limits::Rate,
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// So many at once, and then none for as long as a test takes.
fn burst(burst: u32) -> Rate {
    Rate { per_s: 1e-4, burst }
}

fn is_limited(error: &ErrorBody) {
    assert_eq!(error.code, Code::RateLimited, "{error:?}");
    assert!(error.retry_after_ms.unwrap() > 0);
}

fn login(username: &str) -> Login {
    Login {
        username: username.parse().unwrap(),
        auth: Secret32::new([1; 32]),
        method: Method::Password,
        device: None,
        new_device: None,
        device_name: None,
    }
}

#[tokio::test]
async fn a_connections_requests_beyond_its_rate_are_refused_and_it_goes_on() {
    let mut fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut again = fleet.client(0).await;
    again.resume(&alice).await;
    fleet.servers[0].limit(|limits| limits.connection.requests = burst(3)).await;
    for _ in 0..3 {
        alice.ask(&Ping {}).await.unwrap();
    }
    is_limited(&alice.ask(&Ping {}).await.unwrap_err());
    again.ask(&Ping {}).await.unwrap();
    assert_eq!(fleet.servers[0].metric("limited_total", "connection-requests"), 1.0);
    fleet.servers[0].limit(|limits| limits.connection.requests = burst(4)).await;
    alice.ask(&Ping {}).await.unwrap();
}

#[tokio::test]
async fn an_accounts_connections_share_its_requests() {
    let mut fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut again = fleet.client(0).await;
    again.resume(&alice).await;
    let mut bob = fleet.register(0, "bob").await;
    fleet.servers[0].limit(|limits| limits.account.requests = burst(2)).await;
    let (alices, bobs) = (LogId::archive_of(alice.account), LogId::archive_of(bob.account));
    alice.append(alices, "x").await;
    again.append(alices, "x").await;
    is_limited(&again.ask(&append(alices)).await.unwrap_err());
    is_limited(&alice.ask(&append(alices)).await.unwrap_err());
    bob.append(bobs, "x").await;
    assert_eq!(fleet.servers[0].metric("limited_total", "account-requests"), 2.0);
}

#[tokio::test]
async fn appends_beyond_an_accounts_rate_keep_their_order_until_they_are_sent_again() {
    let mut fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    let archive = LogId::archive_of(alice.account);
    fleet.servers[0].limit(|limits| limits.account.appends = burst(2)).await;
    alice.append(archive, "1").await;
    alice.append(archive, "2").await;
    let (third, fourth) = (append(archive), append(archive));
    is_limited(&alice.ask(&third).await.unwrap_err());
    alice.ask(&Ping {}).await.unwrap();
    fleet.servers[0].limit(|limits| limits.account.appends = burst(3)).await;
    is_limited(&alice.ask(&fourth).await.unwrap_err());
    assert_eq!(alice.ask(&third).await.unwrap().seq, 3);
    assert_eq!(alice.ask(&fourth).await.unwrap().seq, 4);
    assert_eq!(fleet.servers[0].metric("limited_total", "account-appends"), 1.0);
}

#[tokio::test]
async fn of_appends_that_are_sent_at_once_those_before_the_limit_stand_and_the_rest_follows_in_order() {
    const ALL: usize = 60;
    const FIRST: usize = 25;
    let mut fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    let archive = LogId::archive_of(alice.account);
    fleet.servers[0].limit(|limits| limits.account.appends = burst(FIRST as u32)).await;
    let entries: Vec<_> = (0..ALL).map(|_| append(archive)).collect();
    let mut places = HashMap::new();
    for (place, entry) in entries.iter().enumerate() {
        places.insert(alice.request(entry, &Block::none()).await, place);
    }
    for _ in 0..ALL {
        let answer = alice.answer().await;
        let Kind::Response { re: Some(id), .. } = answer.head.kind else {
            panic!("{answer:?}")
        };
        match answer.failure() {
            None => assert_eq!(answer.parse::<Appended>().unwrap().seq, places[&id] as u64 + 1),
            Some(error) => {
                assert!(places[&id] >= FIRST, "{error:?}");
                is_limited(&error);
            }
        }
    }
    fleet.servers[0].limit(|limits| limits.account.appends = burst(ALL as u32)).await;
    for (place, entry) in entries.iter().enumerate().skip(FIRST) {
        assert_eq!(alice.ask(entry).await.unwrap().seq, place as u64 + 1);
    }
}

#[tokio::test]
async fn bytes_beyond_their_rate_are_read_later_and_none_is_lost() {
    for of_account in [false, true] {
        let mut fleet = Fleet::of(1).await;
        let mut alice = fleet.register(0, "alice").await;
        let archive = LogId::archive_of(alice.account);
        let bytes = Rate {
            per_s: 20_000.0,
            burst: 10_000,
        };
        let limit = if of_account { "account-bytes" } else { "connection-bytes" };
        let set = |limits: &mut fastchat_wire::control::Limits| match of_account {
            true => limits.account.bytes = bytes,
            false => limits.connection.bytes = bytes,
        };
        fleet.servers[0].limit(set).await;
        let began = Instant::now();
        alice.append(archive, &"x".repeat(8_000)).await;
        assert_eq!(fleet.servers[0].metric("limited_total", limit), 0.0);
        // Both at once: nothing comes into the bucket in between.
        for _ in 0..2 {
            alice.request(&append(archive), &Block::binary("x".repeat(8_000))).await;
        }
        for _ in 0..2 {
            assert_eq!(alice.answer().await.failure(), None);
        }
        assert!(
            began.elapsed() > Duration::from_millis(650),
            "14,000 bytes too many at 20,000 a second"
        );
        assert!(fleet.servers[0].metric("limited_total", limit) >= 1.0);
        // Larger than the bucket: it takes the whole bucket, and comes through.
        assert_eq!(alice.append(archive, &"x".repeat(50_000)).await.seq, 4);
    }
}

#[tokio::test]
async fn one_connection_too_many_of_an_account_ends_its_oldest() {
    let mut fleet = Fleet::of(1).await;
    fleet.servers[0].limit(|limits| limits.account.connections = 2).await;
    let mut first = fleet.register(0, "alice").await;
    let mut second = fleet.client(0).await;
    second.resume(&first).await;
    first.ask(&Ping {}).await.unwrap();
    let mut third = fleet.client(0).await;
    third.resume(&first).await;
    first.end().await;
    second.ask(&Ping {}).await.unwrap();
    third.ask(&Ping {}).await.unwrap();
    assert_eq!(fleet.servers[0].metric("limited_total", "account-connections"), 1.0);
}

/// A fleet in which nobody is exempt.
async fn strict(change: impl FnOnce(&mut fastchat_wire::control::Limits)) -> Fleet {
    let mut fleet = Fleet::of(1).await;
    let strictly = |limits: &mut fastchat_wire::control::Limits| {
        limits.exempt.clear();
        change(limits);
    };
    fleet.servers[0].limit(strictly).await;
    fleet
}

async fn is_turned_away(fleet: &Fleet, code: Code) {
    let mut refused = Client::silent(fleet.servers[0].clients).await;
    let frame = refused.answer().await;
    let error = frame.failure().unwrap();
    assert_eq!(error.code, code);
    assert!(error.retry_after_ms.unwrap() > 0);
    refused.end().await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_a_place_again_once_one_ends() {
    let fleet = strict(|limits| limits.address.connections = 2).await;
    let alice = fleet.register(0, "alice").await;
    let _bob = fleet.register(0, "bob").await;
    is_turned_away(&fleet, Code::RateLimited).await;
    assert_eq!(fleet.servers[0].metric("limited_total", "address-connections"), 1.0);
    drop(alice);
    fleet.servers[0].until("connections", "", |n| n == 1.0).await;
    fleet.register(0, "carol").await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_that_have_not_signed_in() {
    let fleet = strict(|limits| limits.address.signing_in = 2).await;
    let mut first = fleet.client(0).await;
    let _second = fleet.client(0).await;
    is_turned_away(&fleet, Code::RateLimited).await;
    assert_eq!(fleet.servers[0].metric("limited_total", "address-signing-in"), 1.0);
    first.register("alice").await;
    fleet.client(0).await;
}

#[tokio::test]
async fn all_together_have_so_many_connections_that_have_not_signed_in_loopback_too() {
    let mut fleet = Fleet::of(1).await;
    fleet.servers[0].limit(|limits| limits.server.signing_in = 2).await;
    let mut first = fleet.client(0).await;
    let _second = fleet.client(0).await;
    is_turned_away(&fleet, Code::Overloaded).await;
    assert_eq!(fleet.servers[0].metric("limited_total", "server-signing-in"), 1.0);
    first.register("alice").await;
    fleet.client(0).await;
}

#[tokio::test]
async fn sign_ins_of_each_kind_are_limited_by_address() {
    let fleet = strict(|limits| {
        limits.address.registrations = burst(2);
        limits.address.sign_ins = burst(1);
        limits.address.resumes = burst(2);
    })
    .await;
    let alice = fleet.register(0, "alice").await;
    fleet.register(0, "bob").await;
    let mut client = fleet.client(0).await;
    let header = r#"{"op":"register","id":9,"username":"x","salt":"","kdf":{},"auth":"","device-name":"x"}"#;
    client.send_header(header).await;
    is_limited(&client.response(9).await.failure().unwrap());

    fleet.client(0).await.login("alice").await;
    is_limited(&client.ask(&login("alice")).await.unwrap_err());

    fleet.client(0).await.resume(&alice).await;
    let params = AuthParams {
        username: "alice".parse().unwrap(),
    };
    client.ask(&params).await.unwrap();
    is_limited(&client.ask(&params).await.unwrap_err());
    let resume = Resume {
        token: alice.token.clone(),
    };
    is_limited(&client.ask(&resume).await.unwrap_err());
    for (limit, met) in [("registrations", 1.0), ("sign-ins", 1.0), ("resumes", 2.0)] {
        assert_eq!(
            fleet.servers[0].metric("limited_total", &format!("address-{limit}")),
            met,
            "{limit}"
        );
    }
}

#[tokio::test]
async fn an_exempt_address_has_no_limits_of_an_address_but_those_of_its_accounts() {
    let mut fleet = Fleet::of(1).await;
    let tight = |limits: &mut fastchat_wire::control::Limits| {
        limits.address.connections = 1;
        limits.address.signing_in = 1;
        limits.address.registrations = burst(1);
        limits.account.appends = burst(1);
    };
    fleet.servers[0].limit(tight).await;
    let mut alice = fleet.register(0, "alice").await;
    let _others = (fleet.register(0, "bob").await, fleet.client(0).await, fleet.client(0).await);
    let archive = LogId::archive_of(alice.account);
    alice.append(archive, "x").await;
    is_limited(&alice.ask(&append(archive)).await.unwrap_err());
}

#[tokio::test]
async fn who_does_not_wait_though_it_was_told_to_is_closed() {
    let mut fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    let tight = |limits: &mut fastchat_wire::control::Limits| {
        limits.connection.requests = burst(1);
        limits.connection.refusals = burst(3);
    };
    fleet.servers[0].limit(tight).await;
    alice.ask(&Ping {}).await.unwrap();
    for _ in 0..3 {
        is_limited(&alice.ask(&Ping {}).await.unwrap_err());
    }
    alice.request(&Ping {}, &Block::none()).await;
    assert_eq!(timeout(PATIENCE, alice.end()).await.unwrap(), Some(Code::RateLimited));
    fleet.servers[0].until("connections_closed_total", "limited", |n| n == 1.0).await;
    assert_eq!(fleet.servers[0].metric("limited_total", "connection-refusals"), 1.0);
}
