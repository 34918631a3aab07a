//! A strategy on trial: the balancer gives it up by itself.

use super::*;
use fastchat_wire::{
    chat::assign::Assign,
    control::{Guard, Trial},
};
use std::time::{SystemTime, UNIX_EPOCH};

fn unix_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// The strategy as generation 2, on trial; `round-robin` stood as generation 1.
fn on_trial(strategy: &str, within_ms: Option<u64>, guard: Guard) -> BalancerSpec {
    let mut part = balancer_spec(strategy);
    part.balancing.generation = 2;
    part.trial = Some(Trial {
        former: balancer_spec("round-robin").balancing,
        started_at: unix_ms(),
        within_ms,
        guard,
    });
    part
}

#[tokio::test]
async fn what_nobody_confirms_is_given_up_with_no_control_plane() {
    let mut balancer = Balancer::start("round-robin").await;
    balancer
        .specs
        .send_replace(spec(2, on_trial("random", Some(1_500), Guard::default())));
    balancer.reported(|_, status| status.balancing_generation == 2).await;
    assert_eq!(balancer.metric("fastchat_balancer_trial", ""), 1.0);
    let report = balancer.reported(|_, status| status.reverted.is_some()).await;
    let StatusPart::Balancer(status) = report.part else {
        unreachable!()
    };
    let reverted = status.reverted.unwrap();
    assert_eq!((reverted.generation, status.balancing_generation), (2, 1));
    assert_eq!(reverted.reason, "nobody confirmed it in time");
    assert_eq!(balancer.metric("fastchat_balancer_strategy_info", "round-robin"), 1.0);
    assert_eq!(balancer.metric("fastchat_balancer_reverts_total", "unconfirmed"), 1.0);
    assert_eq!(balancer.metric("fastchat_balancer_trial", ""), 0.0);

    // The same document in a newer spec does not bring it back; the next document is another matter.
    balancer
        .specs
        .send_replace(spec(3, on_trial("random", Some(1_500), Guard::default())));
    let report = balancer.reported(|report, _| report.applied_generation == 3).await;
    assert!(matches!(report.part, StatusPart::Balancer(status) if status.balancing_generation == 1));
    let mut confirmed = balancer_spec("random");
    confirmed.balancing.generation = 3;
    balancer.specs.send_replace(spec(4, confirmed));
    balancer
        .reported(|_, status| status.balancing_generation == 3 && status.reverted.is_none())
        .await;
}

#[tokio::test]
async fn what_is_confirmed_stands() {
    let mut balancer = Balancer::start("round-robin").await;
    balancer
        .specs
        .send_replace(spec(2, on_trial("random", Some(60_000), Guard::default())));
    balancer.reported(|_, status| status.balancing_generation == 2).await;
    let left = balancer.metric("fastchat_balancer_trial_left_seconds", "");
    assert!(left > 30.0 && left <= 60.0, "{left}");
    let mut confirmed = balancer_spec("random");
    confirmed.balancing.generation = 3;
    balancer.specs.send_replace(spec(3, confirmed));
    balancer.reported(|_, status| status.balancing_generation == 3).await;
    assert_eq!(balancer.metric("fastchat_balancer_trial_left_seconds", ""), 0.0);
    assert_eq!(balancer.metric("fastchat_balancer_trial", ""), 0.0);
    assert_eq!(balancer.metric("fastchat_balancer_reverts_total", ""), 0.0);
}

#[tokio::test]
async fn a_balancer_that_starts_into_a_trial_keeps_its_deadline() {
    let mut late = on_trial("random", Some(60_000), Guard::default());
    late.trial.as_mut().unwrap().started_at = unix_ms() - 60_000;
    let mut balancer = Balancer::start_by(late).await;
    let report = balancer.reported(|_, status| status.reverted.is_some()).await;
    assert!(matches!(report.part, StatusPart::Balancer(status) if status.balancing_generation == 1));
    assert_eq!(balancer.metric("fastchat_balancer_strategy_info", "round-robin"), 1.0);

    let mut early = on_trial("random", Some(60_000), Guard::default());
    early.trial.as_mut().unwrap().started_at = unix_ms() + 3_600_000;
    let mut balancer = Balancer::start_by(early).await;
    balancer.reported(|_, status| status.balancing_generation == 2).await;
    assert_eq!(
        balancer.metric("fastchat_balancer_trial", ""),
        1.0,
        "its clock is behind: the whole time again"
    );
}

#[tokio::test]
async fn too_many_refusals_end_a_trial() {
    let mut balancer = Balancer::start("round-robin").await;
    let guard = Guard {
        max_refusal_rate: Some(0.5),
        ..Guard::default()
    };
    balancer.specs.send_replace(spec(2, on_trial("random", None, guard)));
    balancer.reported(|_, status| status.balancing_generation == 2).await;
    let mut client = balancer.client().await;
    for _ in 0..100 {
        // Nobody has attached: there is no server.
        assert!(client.ask(&Assign::default()).await.failure().is_some());
    }
    balancer.reported(|_, status| status.reverted.is_some()).await;
    assert_eq!(balancer.metric("fastchat_balancer_reverts_total", "refusals"), 1.0);
}

#[tokio::test]
async fn a_lasting_imbalance_ends_a_trial() {
    let mut balancer = Balancer::start("round-robin").await;
    let _servers = (balancer.server("s1", 90).await, balancer.server("s2", 10).await);
    let guard = Guard {
        max_imbalance: Some(0.5),
        ..Guard::default()
    };
    balancer.specs.send_replace(spec(2, on_trial("random", None, guard)));
    let report = balancer.reported(|_, status| status.reverted.is_some()).await;
    let StatusPart::Balancer(status) = report.part else {
        unreachable!()
    };
    assert_eq!(status.reverted.unwrap().reason, "the imbalance is 0.80, and 0.5 was the most");
}

#[tokio::test]
async fn what_was_given_up_is_not_tried_again_after_a_restart_and_why_is_still_told() {
    let mut balancer = Balancer::start("round-robin").await;
    let guard = Guard {
        max_imbalance: Some(0.5),
        ..Guard::default()
    };
    let on_trial = on_trial("random", None, guard);
    let servers = (balancer.server("s1", 90).await, balancer.server("s2", 10).await);
    balancer.specs.send_replace(spec(2, on_trial.clone()));
    let before = balancer.reported(|_, status| status.reverted.is_some()).await;
    drop(servers);
    // As with the control plane away: by the cached spec, in which it is still on trial. No server is uneven yet.
    let mut balancer = balancer.restart_by(on_trial.clone()).await;
    let after = balancer.reported(|report, _| report.state == ProcessState::Ready).await;
    let of = |report: &Report| match &report.part {
        StatusPart::Balancer(status) => (status.balancing_generation, status.reverted.clone()),
        StatusPart::Server(_) | StatusPart::Agent(_) => unreachable!(),
    };
    assert_eq!(of(&after), of(&before));
    assert_eq!(balancer.metric("fastchat_balancer_strategy_info", "round-robin"), 1.0);
    assert_eq!(balancer.metric("fastchat_balancer_trial", ""), 0.0);
    assert_eq!((after.applied_generation, &after.problem), (1, &None));

    // Another document is in force: nothing of it is left.
    let mut stands = balancer_spec("random");
    stands.balancing.generation = 3;
    let mut balancer = balancer.restart_by(stands).await;
    balancer
        .reported(|_, status| status.balancing_generation == 3 && status.reverted.is_none())
        .await;
    assert!(!balancer.folder.path().join("given-up.json").exists());
}
