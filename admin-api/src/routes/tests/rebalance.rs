use super::harness::Plane;
use crate::testing::{agent_status, server_status};
use fastchat_wire::control::{InstanceState, Part, Role, ShedStatus, StatusPart};
use serde_json::{Value, json};

const PATH: &str = "/v1/balancing/rebalance";

/// Ready servers `s1` … with so many clients.
async fn with_clients(clients: &[u64]) -> Plane {
    let plane = Plane::new().await;
    let names: Vec<_> = (1..=clients.len()).map(|n| format!("s{n}")).collect();
    for _ in &names {
        plane.post("/v1/servers", json!({})).await;
    }
    let seen = names
        .iter()
        .map(|name| (Role::Server, name.as_str(), InstanceState::Running, Some(11)));
    plane.report(Role::Agent, agent_status(&seen.collect::<Vec<_>>())).await;
    for (name, clients) in names.iter().zip(clients) {
        report(&plane, name, *clients, None).await;
    }
    plane.reconcile().await;
    plane
}

async fn report(plane: &Plane, name: &str, clients: u64, shed: Option<ShedStatus>) {
    let mut status = server_status(name, 11);
    if let StatusPart::Server(part) = &mut status.part {
        (part.connections, part.shed) = (clients, shed);
    }
    plane.report(Role::Server, status).await;
}

/// What a server's spec tells it to give away: how many, and how many a second.
fn told(plane: &Plane, name: &str) -> Option<(u64, u32)> {
    match crate::specs::spec(&plane.app.fleet(), Role::Server, name).unwrap().part {
        Part::Server(part) => part.shed.map(|shed| (shed.clients, shed.clients_per_s)),
        Part::Balancer(_) | Part::Agent(_) => panic!("not a server's spec"),
    }
}

fn done(operation: &Value) -> Option<ShedStatus> {
    Some(ShedStatus {
        id: operation["id"].as_str().unwrap().to_owned(),
        done: true,
        ..ShedStatus::default()
    })
}

#[tokio::test]
async fn a_dry_run_says_how_many_each_gives_away_and_changes_nothing() {
    let plane = with_clients(&[300, 300, 0]).await;
    let generation = plane.app.fleet().generation;
    let plan = plane.post(PATH, json!({"dry_run": true, "clients_per_s": 50})).await;
    assert_eq!(plan.status.as_u16(), 200);
    assert_eq!((&plan.body["clients"], &plan.body["takes_s"]), (&json!(200), &json!(4)));
    assert_eq!(
        plan.body["servers"][0],
        json!({"server": "s1", "clients": 300, "share": 200, "gives": 100})
    );
    assert_eq!((plane.app.fleet().generation, told(&plane, "s1")), (generation, None));
}

#[tokio::test]
async fn servers_are_told_what_to_give_and_it_ends_when_they_have() {
    let plane = with_clients(&[300, 100, 0]).await;
    let started = plane.post(PATH, json!({"clients_per_s": 50})).await;
    assert_eq!((started.status.as_u16(), &started.body["kind"]), (202, &json!("rebalance")));
    assert_eq!(told(&plane, "s1"), Some((166, 50)), "134 of 400 are its share");
    assert_eq!((told(&plane, "s2"), told(&plane, "s3")), (None, None));
    plane.post(PATH, json!({})).await.problem(409);
    plane.reconcile().await;
    assert!(told(&plane, "s1").is_some(), "it goes on until the server says so");
    report(&plane, "s1", 134, done(&started.body)).await;
    plane.reconcile().await;
    let path = format!("/v1/operations/{}", started.body["id"].as_str().unwrap());
    assert_eq!(plane.get(&path).await.body["state"], "succeeded");
    assert_eq!(told(&plane, "s1"), None);
}

#[tokio::test]
async fn what_is_even_is_done_at_once_and_an_aborted_one_asks_nobody_more() {
    let plane = with_clients(&[100, 100]).await;
    assert_eq!(plane.post(PATH, json!({})).await.body["state"], "succeeded");
    let plane = with_clients(&[100, 0]).await;
    let started = plane.post(PATH, json!({})).await.body;
    let path = format!("/v1/operations/{}/abort", started["id"].as_str().unwrap());
    assert_eq!(plane.post(&path, json!({})).await.body["error"]["detail"], "aborted by admin");
    assert_eq!(told(&plane, "s1"), None);
    plane.post(&path, json!({})).await.problem(409);
    assert_eq!(plane.post(PATH, json!({})).await.status.as_u16(), 202, "another one may begin");
}

#[tokio::test]
async fn figures_that_make_no_sense_are_refused_with_their_place() {
    let plane = with_clients(&[100, 0]).await;
    for (key, value, pointer) in [
        ("clients_per_s", json!(0), "/clients_per_s"),
        ("clients_per_s", json!(100_001), "/clients_per_s"),
        ("within_s", json!(0), "/within_s"),
        ("cool_down_s", json!(86_401), "/cool_down_s"),
        ("cool_down_s", json!(-1), ""),
        ("colour", json!(1), ""),
    ] {
        let problem = plane.post(PATH, json!({key: value})).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    plane.delete("/v1/servers/s1?clients_per_s=0").await.problem(400);
    plane.delete("/v1/servers/s1?within_s=86401").await.problem(400);
}

#[tokio::test]
async fn a_drain_has_a_pace_a_dry_run_and_can_be_taken_back() {
    let plane = with_clients(&[100, 0]).await;
    let path = "/v1/servers/s1?clients_per_s=10&within_s=5";
    let would = plane.delete(&format!("{path}&dry_run=true")).await.body;
    assert_eq!(
        (&would["clients"], &would["takes_s"], &would["drains"]),
        (&json!(100), &json!(5), &json!(true)),
        "ten seconds of work, and five to do it"
    );
    assert_eq!(plane.get("/v1/servers/s1").await.body["state"], "ready");
    let removal = plane.delete(path).await.body;
    let Part::Server(part) = crate::specs::spec(&plane.app.fleet(), Role::Server, "s1").unwrap().part else {
        unreachable!()
    };
    let pace = part.drain.unwrap();
    assert_eq!((pace.clients_per_s, pace.within_ms), (10, 5_000));
    let abort = format!("/v1/operations/{}/abort", removal["id"].as_str().unwrap());
    assert_eq!(plane.post(&abort, json!({})).await.body["state"], "failed");
    plane.reconcile().await;
    assert_eq!(plane.get("/v1/servers/s1").await.body["state"], "ready");
    plane.delete("/v1/servers/s1?force=true").await;
    let operations = plane.store.open_operations().await.unwrap();
    let stopping = format!("{}/abort", operations.last().unwrap().path());
    plane.post(&stopping, json!({})).await.problem(409);
}
