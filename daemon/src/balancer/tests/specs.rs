//! What the control plane changes while clients come and go.

use super::*;
use fastchat_balancing::strategy;
use fastchat_wire::{Code, chat::assign::Assign};

fn rebalanced(generation: u64, strategy: &str) -> BalancerSpec {
    let mut part = balancer_spec(strategy);
    part.balancing.generation = generation;
    part
}

async fn next_servers(client: &mut Peer, count: usize) -> Vec<String> {
    let mut servers = Vec::new();
    for _ in 0..count {
        servers.push(client.assign().await.server);
    }
    servers
}

#[tokio::test]
async fn the_strategy_changes_in_mid_stream_and_no_connection_notices() {
    let mut balancer = Balancer::start("least-load").await;
    let _s1 = balancer.server("s1", 100).await;
    let _s2 = balancer.server("s2", 0).await;
    let mut client = balancer.client().await;
    assert_eq!(next_servers(&mut client, 4).await, ["s2"; 4]);
    assert_eq!(balancer.metric("fastchat_balancer_strategy_info", "least-load"), 1.0);

    balancer.specs.send_replace(spec(2, rebalanced(2, "round-robin")));
    balancer.reported(|_, status| status.balancing_generation == 2).await;
    assert_eq!(next_servers(&mut client, 4).await, ["s1", "s2", "s1", "s2"]);
    assert_eq!(balancer.metric("fastchat_balancer_strategy_info", "least-load"), 0.0);
    assert_eq!(balancer.metric("fastchat_balancer_strategy_info", "round-robin"), 1.0);
    assert_eq!(balancer.metric("fastchat_balancer_balancing_generation", ""), 2.0);

    balancer.specs.send_replace(spec(3, rebalanced(3, "least-load")));
    let report = balancer
        .reported(|_, status| status.balancing_generation == 3 && status.servers.len() == 2)
        .await;
    assert_eq!((report.applied_generation, report.problem), (3, None));
    assert_eq!(next_servers(&mut client, 2).await, ["s2"; 2]);
    balancer
        .reported(|_, status| status.servers.iter().map(|server| server.reserved).sum::<u64>() == 10)
        .await;
}

#[tokio::test]
async fn a_strategy_that_stays_the_same_keeps_its_place() {
    let mut balancer = Balancer::start("round-robin").await;
    let _servers = (balancer.server("s1", 0).await, balancer.server("s2", 0).await);
    let mut client = balancer.client().await;
    assert_eq!(next_servers(&mut client, 1).await, ["s1"]);
    balancer.specs.send_replace(spec(2, rebalanced(2, "round-robin")));
    balancer.reported(|_, status| status.balancing_generation == 2).await;
    assert_eq!(next_servers(&mut client, 1).await, ["s2"]);
}

#[tokio::test]
async fn an_unknown_strategy_leaves_the_present_one_in_force_and_is_reported() {
    let mut balancer = Balancer::start("round-robin").await;
    let _s1 = balancer.server("s1", 0).await;
    balancer.specs.send_replace(spec(2, rebalanced(2, "fastest")));
    let report = balancer.reported(|report, _| report.problem.is_some()).await;
    let problem = report.problem.unwrap();
    assert!(
        problem.contains("round-robin stays in force") && problem.contains("\"fastest\""),
        "{problem}"
    );
    assert_eq!(report.applied_generation, 1);
    assert_eq!(balancer.metric("fastchat_balancer_strategy_info", "round-robin"), 1.0);
    assert_eq!(balancer.client().await.assign().await.server, "s1");

    balancer.specs.send_replace(spec(3, rebalanced(3, "random")));
    let report = balancer.reported(|report, _| report.applied_generation == 3).await;
    assert_eq!(report.problem, None);
}

#[tokio::test]
async fn other_addresses_are_a_problem_that_names_the_restart() {
    let mut balancer = Balancer::start("random").await;
    let mut part = balancer_spec("random");
    part.listen = "127.0.0.1:9".into();
    part.excluded = vec!["s1".into()];
    balancer.specs.send_replace(spec(2, part));
    let report = balancer.reported(|report, _| report.problem.is_some()).await;
    assert_eq!(
        report.problem.unwrap(),
        "restart the balancer to change listen from 127.0.0.1:7101 to 127.0.0.1:9"
    );
    let _s1 = balancer.server("s1", 0).await;
    let failure = balancer.client().await.ask(&Assign::default()).await.failure().unwrap();
    assert_eq!(failure.code, Code::NoServer, "the rest is in force");
}

#[tokio::test]
async fn servers_at_their_limit_get_no_clients() {
    let mut balancer = Balancer::start("round-robin").await;
    let mut part = balancer_spec("round-robin");
    part.connections_max = [("s1".to_owned(), 2)].into();
    balancer.specs.send_replace(spec(2, part));
    balancer.reported(|report, _| report.applied_generation == 2).await;
    let _s1 = balancer.server("s1", 1).await;
    let mut client = balancer.client().await;
    assert_eq!(client.assign().await.server, "s1");
    assert_eq!(client.ask(&Assign::default()).await.failure().unwrap().code, Code::NoServer);
}

#[tokio::test]
async fn it_says_how_uneven_the_servers_are_and_would_be_under_the_other_strategies() {
    let mut balancer = Balancer::start("rendezvous").await;
    let _servers = (balancer.server("s1", 0).await, balancer.server("s2", 0).await);
    let mut client = balancer.client().await;
    let sticky = Assign {
        hint: Some("one and the same".into()),
        ..Assign::default()
    };
    for _ in 0..10 {
        assert!(client.ask(&sticky).await.failure().is_none());
    }
    // All ten are on one of two servers: twice its part.
    let report = balancer
        .reported(|_, status| status.imbalance.get("rendezvous") == Some(&1.0))
        .await;
    let StatusPart::Balancer(status) = report.part else {
        unreachable!()
    };
    assert_eq!(status.imbalance.len(), strategy::STRATEGIES.len());
    for even in ["least-load", "round-robin"] {
        assert_eq!(status.imbalance[even], 0.0, "{even}");
        assert_eq!(balancer.metric("fastchat_balancer_shadow_imbalance", even), 0.0);
    }
    assert_eq!(balancer.metric("fastchat_balancer_shadow_imbalance", "rendezvous"), 1.0);
}
