use super::harness::{Plane, TOKEN};
use crate::routes::TABLE;
use axum::{
    body::Body,
    http::{Method, Request, header},
};
use fastchat_wire::control::Role;
use serde_json::json;

fn request(method: &str, path: &str, token: Option<&str>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = match token {
        Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        None => request,
    };
    request.body(Body::empty()).unwrap()
}

fn concrete(route: &str) -> String {
    route.replace("{role}", "server").replace("{name}", "s1").replace("{id}", "x")
}

#[tokio::test]
async fn every_route_under_v1_wants_a_token() {
    let plane = Plane::new().await;
    for (route, method, _) in TABLE.iter().filter(|(route, ..)| route.starts_with("/v1/")) {
        for token in [None, Some("wrong")] {
            let answer = plane.send(request(method, &concrete(route), token)).await;
            assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer", "{method} {route}");
            answer.problem(401);
        }
    }
}

#[tokio::test]
async fn a_token_of_another_role_is_403() {
    let plane = Plane::new().await;
    let agent = plane.process_token(Role::Agent, "h1");
    plane.send(request("GET", "/v1/servers", Some(&agent))).await.problem(403);
    plane
        .send(request("GET", "/v1/control/agent/h1/spec", Some(TOKEN)))
        .await
        .problem(403);
    plane
        .send(request("GET", "/v1/control/server/s1/spec", Some(&agent)))
        .await
        .problem(403);
}

#[tokio::test]
async fn probes_want_no_token() {
    let plane = Plane::new().await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(plane.send(request("GET", path, None)).await.status, 200, "{path}");
    }
    plane.app.shutdown.cancel();
    plane.send(request("GET", "/readyz", None)).await.problem(503);
}

#[tokio::test]
async fn unknown_paths_methods_and_names_are_problems() {
    let plane = Plane::new().await;
    for path in ["/", "/v1", "/v1/nothing", "/v1/servers/s9", "/v1/balancers/b9", "/v1/operations/x"] {
        plane.get(path).await.problem(404);
    }
    plane.delete("/v1/servers/s9").await.problem(404);
    let answer = plane.call(Method::PATCH, "/v1/servers", None, &[]).await;
    assert!(answer.headers.contains_key(header::ALLOW));
    answer.problem(405);
    plane.call(Method::POST, "/healthz", None, &[]).await.problem(405);
    plane
        .as_process(Role::Agent, "h1", Method::GET, "/v1/control/king/h1/spec", None)
        .await
        .problem(404);
}

#[tokio::test]
async fn bodies_and_queries_that_cannot_be_read_are_problems() {
    let plane = Plane::new().await;
    plane.post("/v1/servers", json!({"host": 7})).await.problem(422);
    plane.post("/v1/servers", json!({"colour": "red"})).await.problem(422);
    for weight in [json!(0), json!(-1), json!(0.0009), json!(1000.1), json!("NaN"), json!("infinity")] {
        plane.post("/v1/servers", json!({"weight": weight})).await.problem(422);
    }
    plane.post("/v1/servers", json!({"connections_max": u64::MAX})).await.problem(422);
    plane.post("/v1/servers", json!("x".repeat(70 << 10))).await.problem(413);
    plane.get("/v1/servers?limit=0").await.problem(400);
    plane.get("/v1/servers?limit=many").await.problem(400);
    plane.get("/v1/servers?page_token=!").await.problem(400);
    plane.get("/v1/operations/x?wait=soon").await.problem(400);
    let authorized = || Request::post("/v1/servers").header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
    let broken = authorized()
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{"))
        .unwrap();
    plane.send(broken).await.problem(400);
    let text = authorized()
        .header(header::CONTENT_TYPE, "text/plain")
        .body(Body::from("{}"))
        .unwrap();
    plane.send(text).await.problem(415);
}

#[tokio::test]
async fn a_panic_is_a_problem_that_says_nothing_of_itself() {
    let plane = Plane::new().await;
    let panics = axum::Router::new()
        .route(
            "/panic",
            axum::routing::get(async || -> &'static str { panic!("the password is swordfish") }),
        )
        .layer(tower_http::catch_panic::CatchPanicLayer::new())
        .layer(axum::middleware::from_fn_with_state(plane.app.clone(), crate::edge::edge));
    let plane = Plane { router: panics, ..plane };
    let problem = plane.get("/panic").await.problem(500);
    assert!(!problem.to_string().contains("swordfish"));
}

#[tokio::test]
async fn a_harmless_request_id_is_kept_and_any_other_replaced() {
    let plane = Plane::new().await;
    let answer = plane.call(Method::GET, "/v1/servers", None, &[("x-request-id", "trace-1")]).await;
    assert_eq!(answer.headers["x-request-id"], "trace-1");
    let answer = plane.call(Method::GET, "/v1/servers", None, &[("x-request-id", "a b")]).await;
    assert_ne!(answer.headers["x-request-id"], "a b");
}

#[tokio::test]
async fn denials_are_in_the_audit_log_and_alike_ones_are_folded() {
    let plane = Plane::new().await;
    for _ in 0..50 {
        plane.send(request("DELETE", "/v1/servers/s1", Some("wrong"))).await.problem(401);
    }
    let audit = plane.get("/v1/audit").await.body;
    let items = audit["items"].as_array().unwrap();
    let denied: u64 = items.iter().map(|item| item["record"]["count"].as_u64().unwrap()).sum();
    assert_eq!(denied, 50);
    assert!(items.len() < 50, "{} rows", items.len());
    assert_eq!(items[0]["record"]["who"], "unknown");
    assert_eq!(items[0]["record"]["result"], "denied");
    assert_eq!(audit["chain_intact"], true);
    assert!(!audit.to_string().contains("wrong"));
}

#[tokio::test]
async fn figures_are_there_at_zero_and_count() {
    let plane = Plane::new().await;
    let metrics = async || plane.send(request("GET", "/metrics", None)).await.body.as_str().unwrap().to_owned();
    let text = metrics().await;
    for line in [
        "fastchat_admin_servers{state=\"ready\"} 0",
        "fastchat_admin_operations{state=\"failed\"} 0",
        "fastchat_admin_http_requests_total{method=\"POST\",route=\"/v1/servers\",status=\"202\"} 0",
        "fastchat_admin_generation 2",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    plane.post("/v1/servers", json!({})).await;
    let text = metrics().await;
    for line in [
        "fastchat_admin_servers{state=\"requested\"} 1",
        "fastchat_admin_operations{state=\"pending\"} 1",
        "fastchat_admin_http_requests_total{method=\"POST\",route=\"/v1/servers\",status=\"202\"} 1",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
}
