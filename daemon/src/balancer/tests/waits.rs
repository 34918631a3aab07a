//! `wait-ms`: how arrivals are spread over time.

use super::*;
use fastchat_wire::{
    chat::assign::{Assign, Assigned},
    control::limits::Rate,
};

async fn assigned(client: &mut Peer, resume: bool) -> Assigned {
    let request = Assign {
        resume,
        ..Assign::default()
    };
    client.ask(&request).await.parse().unwrap()
}

#[tokio::test]
async fn who_is_beyond_the_budget_waits_and_its_ticket_lives_from_then_on() {
    let mut part = balancer_spec("least-load");
    part.limits.server.sign_ins = Rate { per_s: 0.1, burst: 2 };
    part.limits.server.resumes = Rate { per_s: 0.1, burst: 1 };
    let mut balancer = Balancer::start_by(part).await;
    let s1 = balancer.server("s1", 0).await;
    let mut client = balancer.client().await;
    let mut waits = Vec::new();
    for resume in [false, false, false, true, true] {
        let assigned = assigned(&mut client, resume).await;
        assert_eq!(assigned.expires_in_ms, 10_000);
        let ticket = crate::ticket::verify(&fleet_key(), "s1", &assigned.ticket, 0).unwrap();
        waits.push((assigned.wait_ms, ticket.expires_at));
    }
    let near = |wait: u64, expected: u64| wait <= expected && wait + 2_000 > expected;
    assert_eq!([waits[0].0, waits[1].0, waits[3].0], [0; 3], "a resume does not wait for sign-ins");
    assert!(near(waits[2].0, 10_000) && near(waits[4].0, 10_000), "{waits:?}");
    assert!(
        waits[2].1 >= waits[1].1 + waits[2].0 - 2_000,
        "its life starts after the wait: {waits:?}"
    );
    balancer
        .reported(|_, status| status.servers.iter().any(|server| server.reserved == 5))
        .await;
    // The gauges were set before the report: of each class one is told to wait.
    assert_eq!(balancer.metric("fastchat_balancer_budget_left", "sign-in"), -1.0);
    assert_eq!(balancer.metric("fastchat_balancer_budget_left", "resume"), -1.0);
    drop(s1);
    balancer.reported(|_, status| status.servers.is_empty()).await;
    let families = balancer.registry.gather();
    assert!(
        families.iter().all(|family| family.name() != "fastchat_balancer_budget_left"),
        "a server that is gone has none"
    );
}

#[tokio::test]
async fn two_balancers_divide_a_budget_and_beyond_a_minute_clients_ask_again() {
    let mut part = balancer_spec("least-load");
    part.balancers = 2;
    part.limits.server.sign_ins = Rate { per_s: 0.1, burst: 2 };
    let balancer = Balancer::start_by(part).await;
    let _s1 = balancer.server("s1", 0).await;
    let mut client = balancer.client().await;
    for expected in [0, 20_000, 40_000, 60_000] {
        let wait = assigned(&mut client, false).await.wait_ms;
        assert!(wait <= expected && wait + 5_000 > expected, "{wait}, not {expected}");
    }
    let refused = client.ask(&Assign::default()).await.failure().unwrap();
    assert_eq!(refused.code, fastchat_wire::Code::Overloaded);
    let wait = refused.retry_after_ms.unwrap();
    assert!((10_000..=20_000).contains(&wait), "{wait}");
}
