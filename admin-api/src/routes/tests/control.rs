use super::harness::Plane;
use crate::testing::{agent_status, server_status};
use axum::http::Method;
use fastchat_wire::control::{Part, Role, Spec, spec_path, status_path};
use serde_json::json;
use std::time::Duration;

async fn spec(plane: &Plane, role: Role, name: &str, after: u64) -> super::harness::Answer {
    plane
        .as_process(role, name, Method::GET, &format!("{}?after={after}", spec_path(role, name)), None)
        .await
}

#[tokio::test]
async fn a_process_gets_its_whole_spec_with_the_newest_generation() {
    let plane = Plane::new().await;
    plane.post("/v1/servers", json!({})).await;
    let generation = plane.app.fleet().generation;
    let answer = spec(&plane, Role::Agent, "h1", 0).await;
    let document: Spec = serde_json::from_value(answer.body).unwrap();
    assert_eq!(document.generation, generation);
    let Part::Agent(agent) = document.part else {
        panic!("not an agent's spec")
    };
    assert_eq!(agent.instances[0].name, "s1");
    assert_eq!(agent.instances[0].token.expose(), plane.process_token(Role::Server, "s1"));
    let answer = spec(&plane, Role::Server, "s1", generation - 1).await;
    assert_eq!(answer.body["part"]["listen"], "127.0.0.1:7110");
}

#[tokio::test]
async fn a_process_that_has_the_newest_generation_waits_and_is_told_nothing() {
    let plane = Plane::new().await;
    let generation = plane.app.fleet().generation;
    // The database is not asked from here on.
    tokio::time::pause();
    for after in [generation, generation + 5] {
        let begun = tokio::time::Instant::now();
        let answer = spec(&plane, Role::Agent, "h1", after).await;
        assert_eq!(answer.status, 204);
        assert!(begun.elapsed() >= Duration::from_secs(25));
    }
}

#[tokio::test]
async fn a_waiting_process_wakes_with_a_change() {
    let plane = Plane::new().await;
    let before = plane.app.fleet().generation;
    let waiting = spec(&plane, Role::Agent, "h1", before);
    let change = async { plane.post("/v1/servers", json!({})).await };
    let (answer, _) = tokio::join!(waiting, change);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["generation"], before + 1);
}

#[tokio::test]
async fn a_waiting_process_is_let_go_when_the_control_plane_ends() {
    let plane = Plane::new().await;
    let waiting = spec(&plane, Role::Agent, "h1", plane.app.fleet().generation);
    let end = async { plane.app.shutdown.cancel() };
    let (answer, ()) = tokio::join!(waiting, end);
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn processes_that_the_fleet_does_not_want_have_no_link() {
    let plane = Plane::new().await;
    spec(&plane, Role::Server, "s1", 0).await.problem(404);
    spec(&plane, Role::Agent, "h9", 0).await.problem(404);
    let body = serde_json::to_value(server_status("s1", 11)).unwrap();
    plane
        .as_process(Role::Server, "s1", Method::POST, &status_path(Role::Server, "s1"), Some(body))
        .await
        .problem(404);
}

#[tokio::test]
async fn a_process_speaks_for_itself_only() {
    let plane = Plane::new().await;
    plane.post("/v1/servers", json!({})).await;
    let post = async |status| {
        let body = serde_json::to_value(status).unwrap();
        plane
            .as_process(Role::Server, "s1", Method::POST, &status_path(Role::Server, "s1"), Some(body))
            .await
    };
    assert_eq!(post(server_status("s2", 11)).await.problem(422)["errors"][0]["pointer"], "/name");
    let mut agent = agent_status(&[]);
    agent.name = "s1".into();
    assert_eq!(post(agent).await.problem(422)["errors"][0]["pointer"], "/part");
    assert_eq!(post(server_status("s1", 11)).await.status, 204);
}
