//! A short storm over each kind of fleet.

use super::{
    chaos::{plan::Victim, storm::Storm, victims::Service},
    harness::{Fleet, until},
};
use fastchat_schema_testing::Server;
use fastchatd_testing::NatsServer;
use std::{
    collections::BTreeMap,
    sync::{Mutex, mpsc::channel},
    time::{Duration, Instant},
};

/// Rounds in which each victim has its turn.
const ROUNDS: usize = 4;
/// Longest pause between two blows.
const PAUSE_MAX: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_out_of_order_whoever_is_killed_sqlite_and_mesh() {
    let fleet = Fleet::start();
    survive(&fleet, BTreeMap::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_out_of_order_whoever_is_killed_postgresql_and_nats() {
    let starting = tokio::task::spawn_blocking(|| (Server::start(), NatsServer::start()));
    let (database, broker) = starting.await.unwrap();
    let fleet = Fleet::start_with(&["--database", &database.url("postgres"), "--bus", &broker.url()]);
    let broker = Mutex::new(broker);
    let services: [(Victim, &dyn Service); 2] = [(Victim::Database, &database), (Victim::Bus, &broker)];
    survive(&fleet, services.into()).await;
}

/// Some rounds, then everything is as it was.
async fn survive(fleet: &Fleet, services: BTreeMap<Victim, &dyn Service>) {
    let seed = match std::env::var("FASTCHAT_CHAOS_SEED") {
        Ok(seed) => seed.parse().expect("FASTCHAT_CHAOS_SEED is a number"),
        Err(_) => rand::random(),
    };
    eprintln!("FASTCHAT_CHAOS_SEED={seed} repeats this plan");
    let (told, lines) = channel();
    let storm = Storm {
        fleet,
        services,
        seed,
        pause_max: PAUSE_MAX,
        told,
    };
    let began = Instant::now();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = storm.plan();
    let blows = plan.round() * ROUNDS;
    let outcome = tokio::task::block_in_place(|| storm.pass(plan.take(blows), folder.path()));
    drop(storm);
    lines.iter().for_each(|line| eprintln!("{line}"));
    eprintln!("{}\nafter {:.1} s", outcome.summary(), began.elapsed().as_secs_f64());
    let complaints = outcome.complaints(fleet);
    if !complaints.is_empty() {
        let kept = folder.keep().join("record.json");
        panic!("{complaints:#?}\n`fastchat-load check --replay {}` judges it again", kept.display());
    }

    let rest = fleet.rest();
    until("everybody is back", 30, async || {
        let servers = rest.servers().await?;
        (servers.len() == 3 && servers.iter().all(|server| server["state"] == "ready")).then_some(())
    })
    .await;
}
