//! Servers on a NATS broker that goes away, and how what was lost meanwhile is mended.

use super::{
    Fleet, MENDED,
    bus::{everything_arrives, pair},
    proxy::Wire,
};
use fastchat_wire::{
    Secret,
    chat::{create::ConversationKind, logout::Logout, move_to::Move},
};
use fastchatd_testing::NatsServer;
use std::time::{Duration, Instant};
use tokio::time::timeout;

async fn on_broker(count: usize) -> Fleet {
    Fleet::on(NatsServer::start(), count).await
}

#[tokio::test]
async fn under_load_over_a_broker_that_ends_everything_arrives_in_order_without_a_fetch() {
    let mut fleet = on_broker(2).await;
    let treat = async |fleet: &mut Fleet, round| match round {
        5 => fleet.broker().stop(),
        15 | 35 => fleet.broker().restart(),
        25 => fleet.broker().kill(),
        // Too short for anybody's patience.
        45 => {
            fleet.broker().kill();
            fleet.broker().restart();
        }
        _ => {}
    };
    everything_arrives(&mut fleet, treat).await;
    fleet.is_linked().await;
}

#[tokio::test]
async fn under_load_over_links_to_the_broker_that_break_everything_arrives_in_order_without_a_fetch() {
    let mut fleet = on_broker(2).await;
    let treat = async |fleet: &mut Fleet, round| match round {
        5 => fleet.broker_link(0).set(Wire::Cut),
        10 => fleet.broker_link(0).set(Wire::Whole),
        15 => fleet.broker_link(1).set(Wire::Frozen),
        25 => fleet.broker_link(1).set(Wire::Whole),
        30 => fleet.broker_link(0).set(Wire::Swallows),
        40 => fleet.broker_link(1).set(Wire::Swallows),
        45 => {
            fleet.broker_link(0).set(Wire::Whole);
            fleet.broker_link(1).set(Wire::Whole);
        }
        _ => {}
    };
    everything_arrives(&mut fleet, treat).await;
    fleet.is_linked().await;
}

#[tokio::test]
async fn servers_serve_while_the_broker_is_away_and_meet_when_it_comes() {
    let mut broker = NatsServer::start();
    broker.stop();
    let mut fleet = Fleet::on(broker, 2).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut bob = fleet.register(1, "bob").await;
    bob.conversations().await;
    let began = Instant::now();
    let log = alice.create(ConversationKind::Direct, &[&bob]).await;
    timeout(MENDED, bob.pushed_from(log, 1)).await.expect("not mended from the log");
    assert!(began.elapsed() < MENDED);
    assert_eq!(fleet.servers[0].metric("bus_connected", ""), 0.0);

    fleet.broker().restart();
    fleet.is_linked().await;
    let appended = alice.append(log, "x").await;
    timeout(MENDED, bob.pushed_from(log, appended.seq))
        .await
        .expect("the push was lost");
    assert_eq!(fleet.servers[0].metric("bus_connected", ""), 1.0);
}

#[tokio::test]
async fn what_began_and_what_ended_while_the_broker_was_away_is_found() {
    let mut fleet = on_broker(2).await;
    let (mut alice, mut bob, _) = pair(&fleet).await;
    let carol = fleet.register(1, "carol").await;
    let mut elsewhere = fleet.client(0).await;
    elsewhere.resume(&carol).await;
    fleet.broker().kill();
    fleet.servers[1].links_up(0).await;
    let log = alice.create(ConversationKind::Group, &[&bob]).await;
    alice.append(log, "x").await;
    elsewhere.ask(&Logout { everywhere: true }).await.unwrap();
    for seq in 1..=2 {
        let pushed = timeout(MENDED, bob.pushed_from(log, seq)).await;
        assert_eq!(pushed.expect("the conversation was not found").event.seq, seq);
    }
    let mut carol = carol;
    timeout(MENDED, carol.end()).await.expect("the session lives on");
    fleet.broker().restart();
    fleet.is_linked().await;
}

#[tokio::test]
async fn a_server_that_starts_again_under_its_name_is_known_again_on_a_broker() {
    let mut fleet = on_broker(3).await;
    let (mut alice, bob, log) = pair(&fleet).await;
    for _ in 0..2 {
        fleet.restart(1).await;
        let mut again = fleet.client(1).await;
        again.resume(&bob).await;
        again.conversations().await;
        let appended = alice.append(log, "x").await;
        let pushed = timeout(MENDED, again.pushed_from(log, appended.seq)).await;
        assert_eq!(pushed.expect("the push was lost").event.seq, appended.seq);
    }
    fleet.is_linked().await;
}

#[tokio::test]
async fn a_first_answer_waits_until_the_others_know_who_came_on_a_broker() {
    let fleet = on_broker(2).await;
    let (mut alice, bob, log) = pair(&fleet).await;
    for _ in 0..10 {
        let mut again = fleet.client(1).await;
        again.resume(&bob).await;
        again.conversations().await;
        // Whatever is appended from here on is pushed at once, not found later.
        let appended = alice.append(log, "x").await;
        let pushed = timeout(Duration::from_millis(900), again.pushed_from(log, appended.seq)).await;
        assert_eq!(pushed.expect("nobody rang").event.seq, appended.seq);
    }
}

#[tokio::test]
async fn a_server_whose_spec_names_another_bus_ends_softly_to_be_started_again() {
    let mut fleet = Fleet::of(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let broker = NatsServer::start();
    let server = &mut fleet.servers[0];
    server.respec(|part| part.bus = Secret::new(broker.url_with("s3cret")));
    let ended = timeout(MENDED * 2, &mut server.task).await.expect("it goes on").unwrap();
    let why = format!("{:#}", ended.expect_err("nobody asked it to end"));
    assert!(why.contains("another bus") && !why.contains("s3cret"), "{why}");
    alice.event::<Move>().await;
}
