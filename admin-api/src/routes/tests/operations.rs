use super::harness::Plane;
use crate::testing::{agent_status, server_status};
use axum::http::StatusCode;
use fastchat_wire::control::{InstanceState, ProcessState, Role, StatusPart};
use serde_json::{Value, json};

fn running(names: &[&'static str]) -> fastchat_wire::control::Status {
    let instances: Vec<_> = names
        .iter()
        .map(|name| (Role::Server, *name, InstanceState::Running, Some(11)))
        .collect();
    agent_status(&instances)
}

/// Servers that are ready, with their operations done.
async fn with_servers(names: &[&'static str]) -> Plane {
    let plane = Plane::new().await;
    for _ in names {
        plane.post("/v1/servers", json!({})).await;
    }
    plane.report(Role::Agent, running(names)).await;
    for name in names {
        plane.report(Role::Server, server_status(name, 11)).await;
    }
    plane.reconcile().await;
    plane
}

async fn state(plane: &Plane, operation: &Value) -> Value {
    plane
        .get(&format!("/v1/operations/{}", operation["id"].as_str().unwrap()))
        .await
        .body["state"]
        .clone()
}

#[tokio::test]
async fn a_launch_is_followed_until_the_server_is_ready() {
    let plane = Plane::new().await;
    let answer = plane.post("/v1/servers", json!({})).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(
        answer.headers["location"],
        format!("/v1/operations/{}", answer.body["id"].as_str().unwrap())
    );
    assert_eq!((&answer.body["state"], &answer.body["kind"]), (&json!("pending"), &json!("create")));
    let path = format!("/v1/operations/{}?wait=30s", answer.body["id"].as_str().unwrap());
    let work = async {
        plane.report(Role::Agent, running(&["s1"])).await;
        plane.reconcile().await;
        assert_eq!(state(&plane, &answer.body).await, "running");
        plane.report(Role::Server, server_status("s1", 11)).await;
        plane.reconcile().await;
    };
    let (followed, ()) = tokio::join!(plane.get(&path), work);
    assert_eq!(followed.body["state"], "succeeded");
    let steps: Vec<_> = followed.body["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["state"].clone())
        .collect();
    assert_eq!(steps, ["starting", "ready"]);
    assert!(followed.body["created_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_wait_that_is_over_answers_with_what_there_is() {
    let plane = Plane::new().await;
    let operation = plane.post("/v1/servers", json!({})).await.body;
    let answer = plane
        .get(&format!("/v1/operations/{}?wait=20ms", operation["id"].as_str().unwrap()))
        .await;
    assert_eq!((answer.status.as_u16(), &answer.body["state"]), (200, &json!("pending")));
}

#[tokio::test]
async fn a_removal_drains_stops_and_forgets() {
    let plane = with_servers(&["s1", "s2"]).await;
    let operation = plane.delete("/v1/servers/s1").await.body;
    assert_eq!(plane.get("/v1/servers/s1").await.body["state"], "draining");
    assert_eq!(plane.delete("/v1/servers/s1").await.body["id"], operation["id"]);
    let mut busy = server_status("s1", 11);
    busy.state = ProcessState::Draining;
    let StatusPart::Server(part) = &mut busy.part else {
        panic!("not a server's status")
    };
    part.connections = 3;
    plane.report(Role::Server, busy.clone()).await;
    plane.reconcile().await;
    assert_eq!(plane.get("/v1/servers/s1").await.body["connections"], 3);
    let StatusPart::Server(part) = &mut busy.part else {
        panic!("not a server's status")
    };
    part.connections = 0;
    plane.report(Role::Server, busy).await;
    plane.reconcile().await;
    assert_eq!(plane.get("/v1/servers/s1").await.body["state"], "stopping");
    plane.report(Role::Agent, running(&["s2"])).await;
    plane.reconcile().await;
    plane.reconcile().await;
    plane.get("/v1/servers/s1").await.problem(404);
    assert_eq!(state(&plane, &operation).await, "succeeded");
    assert_eq!(plane.post("/v1/servers", json!({})).await.body["target"]["name"], "s3");
}

#[tokio::test]
async fn the_last_ready_server_goes_only_by_force_and_then_at_once() {
    let plane = with_servers(&["s1", "s2"]).await;
    plane
        .report(
            Role::Agent,
            agent_status(&[
                (Role::Server, "s1", InstanceState::Running, Some(11)),
                (Role::Server, "s2", InstanceState::Crashed, None),
            ]),
        )
        .await;
    plane.delete("/v1/servers/s1").await.problem(409);
    assert_eq!(plane.delete("/v1/servers/s2").await.status, 202);
    assert_eq!(plane.delete("/v1/servers/s1?force=true").await.status, 202);
    assert_eq!(plane.get("/v1/servers/s1").await.body["state"], "stopping");
}

#[tokio::test]
async fn force_hurries_a_drain() {
    let plane = with_servers(&["s1", "s2"]).await;
    let operation = plane.delete("/v1/servers/s1").await.body;
    let hurried = plane.delete("/v1/servers/s1?force=true").await.body;
    assert_eq!(hurried["id"], operation["id"]);
    assert_eq!(plane.get("/v1/servers/s1").await.body["state"], "stopping");
}

#[tokio::test]
async fn a_restarted_control_plane_continues_an_operation() {
    let plane = with_servers(&["s1", "s2"]).await;
    let removal = plane.delete("/v1/servers/s1?force=true").await.body;
    let launch = plane.post("/v1/servers", json!({})).await.body;
    let plane = plane.restart().await;
    plane.reconcile().await;
    assert_eq!(state(&plane, &removal).await, "running");
    plane.report(Role::Agent, running(&["s2", "s3"])).await;
    plane.report(Role::Server, server_status("s3", 11)).await;
    plane.reconcile().await;
    plane.reconcile().await;
    assert_eq!(state(&plane, &removal).await, "succeeded");
    assert_eq!(state(&plane, &launch).await, "succeeded");
}

#[tokio::test]
async fn a_control_plane_that_has_not_heard_of_anybody_yet_removes_nobody_without_force() {
    let plane = with_servers(&["s1", "s2"]).await.restart().await;
    plane.delete("/v1/servers/s1").await.problem(409);
    plane.report(Role::Server, server_status("s2", 11)).await;
    assert_eq!(plane.delete("/v1/servers/s1").await.status, 202);
}
