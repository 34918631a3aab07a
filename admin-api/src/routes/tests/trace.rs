use super::harness::Plane;
use crate::desired::{Edit, Host};
use crate::testing::host;
use axum::{Router, http::StatusCode, routing::get};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};

#[tokio::test]
async fn a_balancers_trace_is_passed_on_and_one_that_cannot_be_asked_is_told() {
    let plane = Plane::new().await;
    let probes = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = Host {
        // Its first balancer's probes are at +2.
        balancer_port: probes.local_addr().unwrap().port() - 2,
        ..host("h1")
    };
    plane.edit(vec![Edit::PutHost(host)]).await;
    plane.post("/v1/balancers", json!({})).await;
    plane.get("/v1/balancers/b9/trace").await.problem(404);

    let mut serving = JoinSet::new();
    let trace = "{\"at_ms\":0,\"event\":\"up\",\"server\":\"s1\"}\n";
    let app = Router::new().route("/trace", get(async move || trace.repeat(1_000)));
    serving.spawn(async move { axum::serve(probes, app).await });
    let answer = plane.get("/v1/balancers/b1/trace").await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (StatusCode::OK, &"application/x-ndjson".parse().unwrap())
    );
    assert_eq!(answer.body, trace.repeat(1_000));

    serving.shutdown().await;
    let problem = plane.get("/v1/balancers/b1/trace").await.problem(503);
    assert!(problem["detail"].as_str().unwrap().contains("GET /v1/balancers/b1"), "{problem}");
}
