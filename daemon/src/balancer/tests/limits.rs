//! Each limit of a client address, and clients that mean harm.

use super::{peer, *};
use fastchat_wire::{Code, chat::assign::Assign, control::limits::Rate};

/// So many at once, and then none for as long as a test takes.
fn burst(burst: u32) -> Rate {
    Rate { per_s: 1e-4, burst }
}

/// A balancer with a server, at which nobody is exempt.
async fn strict(change: impl FnOnce(&mut fastchat_wire::control::Limits)) -> (Balancer, Peer) {
    let mut balancer = Balancer::start("random").await;
    let server = balancer.server("s1", 0).await;
    limit(&mut balancer, 2, |limits| {
        limits.exempt.clear();
        change(limits);
    })
    .await;
    (balancer, server)
}

/// Other limits, in force when it returns.
async fn limit(balancer: &mut Balancer, generation: u64, change: impl FnOnce(&mut fastchat_wire::control::Limits)) {
    let mut part = balancer_spec("random");
    change(&mut part.limits);
    balancer.specs.send_replace(spec(generation, part));
    balancer.reported(|report, _| report.applied_generation == generation).await;
}

async fn is_limited(client: &mut Peer) {
    let failure = client.ask(&Assign::default()).await.failure().unwrap();
    assert_eq!(failure.code, Code::RateLimited);
    assert!(failure.retry_after_ms.unwrap() > 0);
}

#[tokio::test]
async fn assigns_beyond_an_addresss_rate_are_refused_on_all_of_its_connections() {
    let (mut balancer, _s1) = strict(|limits| limits.address.assigns = burst(2)).await;
    let (mut first, mut second) = (balancer.client().await, balancer.client().await);
    first.assign().await;
    second.assign().await;
    is_limited(&mut first).await;
    is_limited(&mut second).await;
    assert_eq!(balancer.metric("fastchat_balancer_limited_total", "address-assigns"), 2.0);
    limit(&mut balancer, 3, |limits| limits.address.assigns = burst(2)).await;
    first.assign().await;
}

#[tokio::test]
async fn no_address_takes_up_what_servers_can_sign_in_and_resumes_are_not_held_up() {
    let (balancer, _s1) = strict(|limits| limits.address.sign_ins = burst(1)).await;
    let mut client = balancer.client().await;
    client.assign().await;
    is_limited(&mut client).await;
    assert_eq!(balancer.metric("fastchat_balancer_limited_total", "address-sign-ins"), 1.0);
    let resume = Assign {
        resume: true,
        ..Assign::default()
    };
    assert!(client.ask(&resume).await.failure().is_none());
}

#[tokio::test]
async fn an_address_has_so_many_tickets_until_one_is_redeemed_or_expires() {
    let (balancer, mut s1) = strict(|limits| limits.address.tickets = 2).await;
    let mut client = balancer.client().await;
    let ticket = client.assign().await.ticket;
    client.assign().await;
    is_limited(&mut client).await;
    assert_eq!(balancer.metric("fastchat_balancer_limited_total", "address-tickets"), 1.0);
    let redeemed = fastchat_wire::link::load::Load {
        redeemed: vec![ticket],
        ..peer::load(1)
    };
    s1.tell(&redeemed).await;
    while balancer.metric("fastchat_balancer_tickets_redeemed_total", "") < 1.0 {
        tokio::task::yield_now().await;
    }
    client.assign().await;
    is_limited(&mut client).await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_a_place_again_once_one_ends() {
    let (balancer, _s1) = strict(|limits| limits.address.signing_in = 2).await;
    let mut first = balancer.client().await;
    first.assign().await;
    let mut second = balancer.client().await;
    second.assign().await;
    let mut refused = balancer.client().await;
    assert_eq!(refused.failure().await, (None, Code::RateLimited));
    refused.expect_end().await;
    assert_eq!(balancer.metric("fastchat_balancer_limited_total", "address-signing-in"), 1.0);
    drop(second);
    while balancer.metric("fastchat_balancer_connections", "") > 1.0 {
        tokio::task::yield_now().await;
    }
    balancer.client().await.assign().await;
}

#[tokio::test]
async fn a_flood_of_assigns_is_closed_and_others_are_served() {
    let mut balancer = Balancer::start("random").await;
    let _s1 = balancer.server("s1", 0).await;
    limit(&mut balancer, 2, |limits| {
        limits.exempt.clear();
        limits.address.assigns = burst(5);
        limits.connection.refusals = burst(10);
    })
    .await;
    let mut hostile = balancer.client().await;
    for _ in 0..5 {
        hostile.assign().await;
    }
    for _ in 0..10 {
        is_limited(&mut hostile).await;
    }
    is_limited(&mut hostile).await;
    hostile.expect_end().await;
    assert_eq!(balancer.metric("fastchat_balancer_limited_total", "address-assigns"), 11.0);
    assert_eq!(balancer.metric("fastchat_balancer_limited_total", "connection-refusals"), 1.0);
    limit(&mut balancer, 3, |_| ()).await;
    let mut honest = balancer.client().await;
    for _ in 0..20 {
        honest.assign().await;
    }
}
