use super::harness::{Answer, Plane};
use axum::http::{Method, header};
use fastchat_wire::control::Limits;
use serde_json::{Value, json};

async fn put(plane: &Plane, body: Value, if_match: Option<&str>) -> Answer {
    let headers: Vec<_> = if_match.map(|tag| ("if-match", tag)).into_iter().collect();
    plane.call(Method::PUT, "/v1/limits", Some(body), &headers).await
}

#[tokio::test]
async fn the_limits_in_force_are_shown_and_replaced_by_who_knows_them() {
    let plane = Plane::new().await;
    let answer = plane.get("/v1/limits").await;
    assert_eq!(answer.headers[header::ETAG], "\"1\"");
    let mut document = answer.body;
    let defaults = serde_json::to_value(Limits::default()).unwrap();
    assert_eq!(document["address"], defaults["address"]);
    assert_eq!(document["exempt"], json!(["127.0.0.0/8", "::1/128"]));
    put(&plane, document.clone(), None).await.problem(428);
    put(&plane, document.clone(), Some("\"2\"")).await.problem(412);
    assert_eq!(document["blobs"], defaults["blobs"]);
    document["account"]["connections"] = json!(3);
    document["blobs"]["account_uploads_max"] = json!(7);
    let answer = put(&plane, document.clone(), Some("\"1\"")).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers[header::ETAG]),
        (200, &"\"2\"".parse().unwrap())
    );
    assert_eq!(answer.body["account"]["connections"], 3);
    assert_eq!(answer.body["blobs"]["account_uploads_max"], 7);
    put(&plane, document, Some("\"1\"")).await.problem(412);
    // What is left out becomes the default.
    let answer = put(&plane, json!({}), Some("*")).await;
    assert_eq!(answer.body["account"], defaults["account"]);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_place() {
    let plane = Plane::new().await;
    for (document, pointer) in [
        (json!({"adress": {}}), "/adress"),
        (json!({"address": {"ticket": 1}}), "/address/ticket"),
        (
            json!({"address": {"assigns": {"per_s": 1.0, "burst": 0}}}),
            "/address/assigns/burst",
        ),
        (json!({"address": {"assigns": {"per_s": -1, "burst": 1}}}), "/address/assigns/per_s"),
        (json!({"account": {"bytes": {"per_s": 1, "burst": 1000}}}), "/account/bytes/burst"),
        (json!({"exempt": ["localhost"]}), "/exempt/0"),
        (json!({"server": {"blocks_bytes": 1}}), "/server/blocks_bytes"),
        (json!({"account": {"connections": -1}}), ""),
        (json!({"blobs": {"account_bytes": 1}}), "/blobs/account_bytes"),
        (json!({"blobs": {"retention_ms": 1}}), "/blobs/retention_ms"),
        (json!({"blobs": {"walk_ms": 0}}), "/blobs/walk_ms"),
    ] {
        let problem = put(&plane, document, Some("*")).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
    assert_eq!(plane.get("/v1/limits").await.headers[header::ETAG], "\"1\"", "nothing has changed");
}
