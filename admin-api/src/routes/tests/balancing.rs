use super::harness::{Answer, Plane};
use crate::testing::balancer_status;
use axum::http::{Method, header};
use fastchat_wire::control::{Role, StatusPart};
use serde_json::{Value, json};

async fn put(plane: &Plane, query: &str, body: Value, if_match: Option<&str>) -> Answer {
    let headers: Vec<_> = if_match.map(|tag| ("if-match", tag)).into_iter().collect();
    plane
        .call(Method::PUT, &format!("/v1/balancing{query}"), Some(body), &headers)
        .await
}

#[tokio::test]
async fn the_strategy_changes_only_for_who_knows_the_one_before() {
    let plane = Plane::new().await;
    let random = || json!({"strategy": "random"});
    let answer = plane.get("/v1/balancing").await;
    assert_eq!(answer.headers[header::ETAG], "\"1\"");
    assert_eq!(
        answer.body,
        json!({"strategy": "least-load", "parameters": {}, "generation": 1, "balancers": []})
    );
    put(&plane, "", random(), None).await.problem(428);
    put(&plane, "", random(), Some("\"7\"")).await.problem(412);
    put(&plane, "", random(), Some("W/\"1\"")).await.problem(412);
    let answer = put(&plane, "", random(), Some("\"7\", \"1\"")).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers[header::ETAG]),
        (200, &"\"2\"".parse().unwrap())
    );
    assert_eq!(
        (&answer.body["strategy"], &answer.body["generation"]),
        (&json!("random"), &json!(2))
    );
    put(&plane, "", random(), Some("\"1\"")).await.problem(412);
    let answer = put(&plane, "", json!({"strategy": "round-robin", "parameters": {}}), Some("*")).await;
    assert_eq!(answer.headers[header::ETAG], "\"3\"");
}

#[tokio::test]
async fn what_is_not_known_is_refused_with_what_is() {
    let plane = Plane::new().await;
    let problem = put(&plane, "", json!({"strategy": "best"}), Some("*")).await.problem(422);
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert_eq!(problem["errors"][0]["pointer"], "/strategy");
    for known in ["least-bytes", "least-load", "power-of-two", "random", "rendezvous", "round-robin"] {
        assert!(detail.contains(known), "{detail}");
    }
    let problem = put(&plane, "", json!({"strategy": "random", "parameters": {"x": 1}}), Some("*"))
        .await
        .problem(422);
    assert_eq!(problem["errors"][0]["pointer"], "/parameters/x");
    for (key, value) in [("confirm_within_s", json!(30)), ("guard", json!({}))] {
        let problem = put(&plane, "", json!({"strategy": "random", key: value}), Some("*"))
            .await
            .problem(422);
        assert_eq!(problem["errors"][0]["pointer"], format!("/{key}"));
    }
    put(&plane, "", json!({"strategy": "random", "colour": 1}), Some("*"))
        .await
        .problem(422);
    put(&plane, "", json!({}), Some("*")).await.problem(422);
    assert_eq!(plane.get("/v1/balancing").await.body["generation"], 1);
}

#[tokio::test]
async fn a_put_can_wait_until_the_balancers_have_it() {
    let plane = Plane::new().await;
    plane.post("/v1/balancers", json!({})).await;
    plane.report(Role::Balancer, balancer_status("b1", 9, 1)).await;
    let answer = put(&plane, "?wait=applied&timeout=20ms", json!({"strategy": "random"}), Some("*")).await;
    assert_eq!(answer.body["balancers"], json!([{"name": "b1", "applied_generation": 1}]));
    let waiting = put(&plane, "?wait=applied&timeout=30s", json!({"strategy": "round-robin"}), Some("*"));
    let applied = async {
        while plane.app.fleet().balancing.generation < 3 {
            tokio::task::yield_now().await;
        }
        plane.report(Role::Balancer, balancer_status("b1", 9, 3)).await;
    };
    let (answer, ()) = tokio::join!(waiting, applied);
    assert_eq!(answer.body["balancers"], json!([{"name": "b1", "applied_generation": 3}]));
}

#[tokio::test]
async fn it_shows_how_uneven_each_strategy_would_leave_the_servers() {
    let plane = Plane::new().await;
    plane.post("/v1/balancers", json!({})).await;
    let mut status = balancer_status("b1", 9, 1);
    if let StatusPart::Balancer(part) = &mut status.part {
        part.imbalance = [("least-load".to_owned(), 0.0), ("random".to_owned(), 0.25)].into();
    }
    plane.report(Role::Balancer, status).await;
    let shown = plane.get("/v1/balancing").await.body;
    assert_eq!(shown["balancers"][0]["imbalance"], json!({"least-load": 0.0, "random": 0.25}));
}

#[tokio::test]
async fn the_audit_log_says_what_it_was_before_and_why() {
    let plane = Plane::new().await;
    let headers = [("if-match", "*"), ("x-change-reason", "one server is slow")];
    plane
        .call(Method::PUT, "/v1/balancing", Some(json!({"strategy": "random"})), &headers)
        .await;
    let audit = plane.get("/v1/audit").await.body;
    let record = &audit["items"][0]["record"];
    assert_eq!(
        (&record["who"], &record["result"], &record["status"]),
        (&json!("admin"), &json!("changed"), &json!(200))
    );
    assert_eq!(record["reason"], "one server is slow");
    assert_eq!(
        record["change"]["before"],
        json!({"strategy": "least-load", "parameters": {}, "generation": 1})
    );
    assert_eq!(record["change"]["after"]["strategy"], "random");
}
