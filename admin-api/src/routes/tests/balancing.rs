use super::harness::{Answer, Plane};
use crate::operation::Kind;
use crate::testing::balancer_status;
use axum::http::{Method, header};
use fastchat_wire::control::{Reverted, Role, StatusPart};
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

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let plane = Plane::new().await;
    let body = || json!({"strategy": "random", "confirm_within_s": 60, "guard": {"max_imbalance": 0.5}});
    let answer = put(&plane, "?dry_run=true", body(), Some("\"1\"")).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers[header::ETAG]),
        (200, &"\"1\"".parse().unwrap())
    );
    assert_eq!(
        (&answer.body["dry_run"], &answer.body["strategy"]),
        (&json!(true), &json!("random"))
    );
    assert_eq!(answer.body["trial"]["former"]["strategy"], "least-load");
    put(&plane, "?dry_run=true", body(), Some("\"2\"")).await.problem(412);
    put(&plane, "?dry_run=true", json!({"strategy": "best"}), Some("*"))
        .await
        .problem(422);
    let now = plane.get("/v1/balancing").await.body;
    assert_eq!((&now["generation"], now.get("trial")), (&json!(1), None));
}

#[tokio::test]
async fn a_strategy_on_trial_stands_once_it_is_confirmed() {
    let plane = Plane::new().await;
    plane.post("/v1/balancing/confirm", json!({})).await.problem(409);
    plane.post("/v1/balancing/revert", json!({})).await.problem(409);
    let answer = put(&plane, "", json!({"strategy": "random", "confirm_within_s": 60}), Some("*")).await;
    assert_eq!(answer.body["trial"]["confirm_within_s"], 60);
    let path = "/v1/balancing/confirm";
    plane.call(Method::POST, path, None, &[("if-match", "\"1\"")]).await.problem(412);
    let answer = plane.call(Method::POST, path, None, &[("if-match", "\"2\"")]).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers[header::ETAG]),
        (200, &"\"3\"".parse().unwrap())
    );
    assert_eq!((&answer.body["strategy"], answer.body.get("trial")), (&json!("random"), None));
    plane.post(path, json!({})).await.problem(409);
    assert_eq!(plane.store.open_operations().await.unwrap(), []);
    let audit = plane.get("/v1/audit").await.body;
    let changes: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["record"]["path"])
        .collect();
    assert_eq!(changes, ["/v1/balancing", path]);
}

#[tokio::test]
async fn an_operator_takes_a_strategy_on_trial_back() {
    let plane = Plane::new().await;
    for how in ["/v1/balancing/revert", "abort"] {
        put(
            &plane,
            "",
            json!({"strategy": "random", "guard": {"max_refusal_rate": 0}}),
            Some("*"),
        )
        .await;
        let operation = plane.store.open_operations().await.unwrap().remove(0);
        let path = if how == "abort" {
            format!("{}/abort", operation.path())
        } else {
            how.to_owned()
        };
        assert_eq!(plane.post(&path, json!({})).await.status.as_u16(), 200, "{how}");
        let now = plane.get("/v1/balancing").await.body;
        assert_eq!((&now["strategy"], now.get("trial")), (&json!("least-load"), None), "{how}");
        let ended = plane.get(&operation.path()).await.body;
        assert_eq!((&ended["kind"], &ended["state"]), (&json!("trial"), &json!("failed")), "{how}");
        plane.post(&format!("{}/abort", operation.path()), json!({})).await.problem(409);
    }
}

#[tokio::test]
async fn what_a_balancer_gave_up_is_given_up_by_all_and_can_not_be_confirmed() {
    let plane = Plane::new().await;
    plane.post("/v1/balancers", json!({})).await;
    put(&plane, "", json!({"strategy": "random", "confirm_within_s": 60}), Some("*")).await;
    let mut status = balancer_status("b1", 9, 1);
    let StatusPart::Balancer(part) = &mut status.part else {
        unreachable!()
    };
    part.reverted = Some(Reverted {
        generation: 2,
        reason: "the imbalance is 3".into(),
    });
    plane.report(Role::Balancer, status).await;
    let problem = plane.post("/v1/balancing/confirm", json!({})).await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("the imbalance is 3"), "{problem}");
    let operation = plane.store.open_operations().await.unwrap();
    let operation = operation.iter().find(|operation| operation.kind == Kind::Trial).unwrap();
    plane.reconcile().await;
    let now = plane.get("/v1/balancing").await.body;
    assert_eq!((&now["strategy"], &now["generation"]), (&json!("least-load"), &json!(3)));
    assert_eq!(now["balancers"][0]["reverted"]["reason"], "the imbalance is 3");
    let ended = plane.get(&operation.path()).await.body;
    assert_eq!(ended["state"], "failed");
    let audit = plane.get("/v1/audit").await.body;
    let record = &audit["items"].as_array().unwrap().last().unwrap()["record"];
    assert_eq!(
        (&record["who"], &record["reason"]),
        (&json!("balancer/b1"), &json!("the imbalance is 3"))
    );
    plane.reconcile().await;
    assert_eq!(plane.get("/v1/balancing").await.body["generation"], 3, "once");

    // Who looks later is told, too: the balancer has other things to say by now, and the control plane started again.
    let plane = plane.restart().await;
    plane.report(Role::Balancer, balancer_status("b1", 10, 3)).await;
    let later = plane.get("/v1/balancing").await.body;
    assert_eq!(later["balancers"][0].get("reverted"), None);
    let last = &later["last_trial"];
    assert_eq!(
        (&last["state"], &last["reason"], &last["operation"]),
        (
            &json!("failed"),
            &json!("random was given up by balancer/b1: the imbalance is 3"),
            &json!(operation.id)
        ),
        "{last}"
    );
    let next = put(&plane, "", json!({"strategy": "random", "confirm_within_s": 60}), Some("*")).await;
    assert_eq!(next.body.get("last_trial"), None, "the last one is under way");
    let confirmed = plane.post("/v1/balancing/confirm", json!({})).await;
    assert_eq!(
        (&confirmed.body["last_trial"]["state"], &confirmed.body["last_trial"]["reason"]),
        (&json!("succeeded"), &Value::Null)
    );
}

#[tokio::test]
async fn a_trial_outlives_the_control_plane_and_another_change_replaces_it() {
    let plane = Plane::new().await;
    put(&plane, "", json!({"strategy": "random", "confirm_within_s": 60}), Some("*")).await;
    let plane = plane.restart().await;
    assert_eq!(plane.get("/v1/balancing").await.body["trial"]["former"]["strategy"], "least-load");
    let first = plane.store.open_operations().await.unwrap().remove(0);
    let answer = put(&plane, "", json!({"strategy": "round-robin", "confirm_within_s": 60}), Some("*")).await;
    assert_eq!(answer.body["trial"]["former"]["strategy"], "least-load", "the last one that stood");
    assert_eq!(plane.get(&first.path()).await.body["state"], "failed");
    put(&plane, "", json!({"strategy": "round-robin"}), Some("*")).await;
    assert_eq!(plane.store.open_operations().await.unwrap(), []);
    plane.post("/v1/balancing/confirm", json!({})).await.problem(409);
}

#[tokio::test]
async fn a_net_that_makes_no_sense_is_refused_with_its_place() {
    let plane = Plane::new().await;
    for (key, value, pointer) in [
        ("confirm_within_s", json!(0), "/confirm_within_s"),
        ("confirm_within_s", json!(86_401), "/confirm_within_s"),
        ("confirm_within_s", json!(-1), ""),
        ("guard", json!({"max_imbalance": -1}), "/guard/max_imbalance"),
        ("guard", json!({"max_imbalance": 1e300}), "/guard/max_imbalance"),
        ("guard", json!({"max_assign_p99_ms": 0}), "/guard/max_assign_p99_ms"),
        ("guard", json!({"max_refusal_rate": 1.5}), "/guard/max_refusal_rate"),
        ("guard", json!({"max_refusal_rate": "NaN"}), ""),
        ("guard", json!({"max_colour": 1}), ""),
    ] {
        let problem = put(&plane, "", json!({"strategy": "random", key: value}), Some("*"))
            .await
            .problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    assert_eq!(plane.get("/v1/balancing").await.body["generation"], 1);
}
