use super::harness::Plane;
use crate::testing::{agent_status, balancer_status, server_status};
use axum::http::Method;
use fastchat_wire::control::{InstanceState, Role};
use serde_json::{Value, json};

#[tokio::test]
async fn a_server_is_shown_from_its_request_to_its_crash() {
    let plane = Plane::new().await;
    plane.post("/v1/servers", json!({"weight": 2.0, "connections_max": 50})).await;
    let shown = async || plane.get("/v1/servers/s1").await.body;
    let server = shown().await;
    assert_eq!(server["state"], "requested");
    assert_eq!((&server["host"], &server["address"]), (&json!("h1"), &json!("127.0.0.1:7110")));
    assert_eq!(
        (&server["weight"], &server["connections_max"], &server["pid"]),
        (&json!(2.0), &json!(50), &Value::Null)
    );
    plane
        .report(Role::Agent, agent_status(&[(Role::Server, "s1", InstanceState::Running, Some(11))]))
        .await;
    assert_eq!(shown().await["state"], "starting");
    plane.report(Role::Server, server_status("s1", 11)).await;
    let server = shown().await;
    assert_eq!(
        (&server["state"], &server["pid"], &server["version"]),
        (&json!("ready"), &json!(11), &json!("0.1.0"))
    );
    assert_eq!(server["applied_generation"], server["wanted_generation"]);
    let mut agent = agent_status(&[(Role::Server, "s1", InstanceState::Crashed, None)]);
    let fastchat_wire::control::StatusPart::Agent(part) = &mut agent.part else {
        panic!("not an agent's status")
    };
    (part.instances[0].restarts, part.instances[0].last_exit) = (1, Some("signal 9".into()));
    plane.report(Role::Agent, agent).await;
    let server = shown().await;
    assert_eq!(
        (&server["state"], &server["restarts"], &server["problem"]),
        (&json!("crashed"), &json!(1), &json!("signal 9"))
    );
}

#[tokio::test]
async fn lists_have_pages() {
    let plane = Plane::new().await;
    for _ in 0..3 {
        plane.post("/v1/servers", json!({})).await;
    }
    let names = |body: &Value| {
        body["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].clone())
            .collect::<Vec<_>>()
    };
    let page = plane.get("/v1/servers?limit=2").await.body;
    assert_eq!(names(&page), ["s1", "s2"]);
    let page = plane
        .get(&format!(
            "/v1/servers?limit=2&page_token={}",
            page["next_page_token"].as_str().unwrap()
        ))
        .await
        .body;
    assert_eq!(names(&page), ["s3"]);
    assert_eq!(page["next_page_token"], Value::Null);
    let audit = plane.get("/v1/audit?limit=2").await.body;
    let rest = plane
        .get(&format!("/v1/audit?page_token={}", audit["next_page_token"].as_str().unwrap()))
        .await
        .body;
    assert_eq!(
        (&rest["items"][0]["seq"], &rest["next_page_token"], &rest["chain_intact"]),
        (&json!(3), &Value::Null, &json!(true))
    );
}

#[tokio::test]
async fn hosts_and_placement() {
    let plane = Plane::new().await;
    plane.add_host("h2").await;
    plane.report(Role::Agent, agent_status(&[])).await;
    for host in ["h1", "h2"] {
        let operation = plane.post("/v1/servers", json!({})).await.body;
        let name = operation["target"]["name"].as_str().unwrap();
        assert_eq!(plane.get(&format!("/v1/servers/{name}")).await.body["host"], host);
    }
    plane.post("/v1/servers", json!({"host": "h2"})).await;
    plane.post("/v1/servers", json!({"host": "h9"})).await.problem(422);
    let hosts = plane.get("/v1/hosts").await.body["items"].clone();
    assert_eq!(
        (&hosts[0]["name"], &hosts[0]["state"], &hosts[0]["cpus"]),
        (&json!("h1"), &json!("ready"), &json!(2))
    );
    assert_eq!(
        (&hosts[1]["state"], &hosts[1]["instances"]),
        (&json!("joining"), &json!(["s2", "s3"]))
    );
}

#[tokio::test]
async fn balancers_are_launched_shown_and_removed() {
    let plane = Plane::new().await;
    let answer = plane.post("/v1/balancers", json!({})).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["target"]),
        (202, &json!({"role": "balancer", "name": "b1"}))
    );
    plane.report(Role::Balancer, balancer_status("b1", 9, 1)).await;
    let balancer = plane.get("/v1/balancers/b1").await.body;
    assert_eq!(
        (&balancer["state"], &balancer["address"], &balancer["balancing_generation"]),
        (&json!("ready"), &json!("127.0.0.1:7101"), &json!(1))
    );
    plane.delete("/v1/balancers/b1").await.problem(409);
    assert_eq!(plane.delete("/v1/balancers/b1?force=true").await.status, 202);
    assert_eq!(plane.get("/v1/balancers").await.body["items"][0]["state"], "stopping");
}

#[tokio::test]
async fn prometheus_is_told_what_to_scrape() {
    let plane = Plane::new().await;
    plane.post("/v1/servers", json!({})).await;
    let answer = plane.get("/v1/prometheus/targets").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    let roles: Vec<_> = answer
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|target| target["labels"]["role"].clone())
        .collect();
    assert_eq!(roles, ["control", "agent", "server"]);
}

#[tokio::test]
async fn the_same_key_asks_once() {
    let plane = Plane::new().await;
    let post = async |key: &str, body: Value| {
        plane
            .call(Method::POST, "/v1/servers", Some(body), &[("idempotency-key", key)])
            .await
    };
    let first = post("a", json!({})).await;
    let again = post("a", json!({})).await;
    assert_eq!(
        (first.status, &first.body, &first.headers["location"]),
        (again.status, &again.body, &again.headers["location"])
    );
    post("a", json!({"weight": 2.0})).await.problem(422);
    post("", json!({})).await.problem(400);
    assert_eq!(post("b", json!({})).await.body["target"]["name"], "s2");
    assert_eq!(plane.get("/v1/servers").await.body["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_same_key_at_the_same_time_asks_once() {
    let plane = Plane::new().await;
    let post = async || {
        plane
            .call(Method::POST, "/v1/servers", Some(json!({})), &[("idempotency-key", "a")])
            .await
    };
    let (a, b, c) = tokio::join!(post(), post(), post());
    assert_eq!((&a.body["id"], &b.body["id"]), (&b.body["id"], &c.body["id"]));
    assert_eq!(plane.get("/v1/servers").await.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn many_at_once_get_a_name_each() {
    let plane = Plane::new().await;
    let post = async || {
        plane.post("/v1/servers", json!({})).await.body["target"]["name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (a, b, c, d) = tokio::join!(post(), post(), post(), post());
    let mut names = [a, b, c, d];
    names.sort();
    assert_eq!(names, ["s1", "s2", "s3", "s4"]);
}
