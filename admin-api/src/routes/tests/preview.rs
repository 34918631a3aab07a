use super::harness::Plane;
use serde_json::{Value, json};

#[tokio::test]
async fn every_strategy_is_foreseen_and_one_seed_gives_one_answer() {
    let plane = Plane::new().await;
    let asked = json!({"synthetic": {"weights": [1, 1, 2], "for_s": 60, "clients_per_s": 5, "stay_s": 20}, "seed": 7});
    let answer = plane.post("/v1/balancing/preview", asked.clone()).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let items = answer.body["items"].as_array().unwrap();
    let names: Vec<_> = items.iter().map(|item| item["strategy"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["least-bytes", "least-load", "power-of-two", "random", "rendezvous", "round-robin"]
    );
    let mean = |name: &str| {
        items.iter().find(|item| item["strategy"] == name).unwrap()["mean"]
            .as_f64()
            .unwrap()
    };
    assert!(mean("least-load") < mean("random"));
    assert_eq!(items[0]["timeline"].as_array().unwrap().len(), 600);
    // One at a time: the answer above has come, so there is room for the next.
    assert_eq!(plane.post("/v1/balancing/preview", asked).await.body, answer.body);
    assert_eq!(plane.get("/v1/balancing").await.body["generation"], 1, "nothing has changed");
}

#[tokio::test]
async fn a_preview_that_cannot_be_is_refused_by_its_place() {
    let plane = Plane::new().await;
    let trace = "{\"at_ms\":0,\"event\":\"up\",\"server\":\"s1\"}\n{\"at_ms\":1,\"event\":\"jump\"}";
    let pointers: [(Value, &str); 7] = [
        (json!({"strategies": ["astrology"]}), "/strategy"),
        (json!({"strategies": []}), "/strategies"),
        (
            json!({"strategies": ["random"], "parameters": {"random": {"sides": 6}}}),
            "/parameters/sides",
        ),
        (json!({"trace": trace}), "/trace"),
        (json!({"trace": trace, "synthetic": {}}), "/synthetic"),
        (json!({"synthetic": {"clients_per_s": 1e6}}), "/synthetic/clients_per_s"),
        (json!({"synthetic": {"weights": vec![1.0; 101]}}), "/synthetic/weights"),
    ];
    for (body, pointer) in pointers {
        let problem = plane.post("/v1/balancing/preview", body).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let problem = plane.post("/v1/balancing/preview", json!({"trace": trace})).await.problem(422);
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("line 2: unknown variant `jump`"), "{detail}");
}
