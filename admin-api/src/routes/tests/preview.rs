use super::harness::Plane;
use crate::routes::preview::{BODY_BYTES_MAX, ONE};
use fastchat_balancing::recorder::EVENTS_MAX;
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

fn up(server: usize, clients: u64) -> String {
    format!("{{\"at_ms\":0,\"event\":\"up\",\"server\":\"s{server}\",\"clients\":{clients}}}\n")
}

#[tokio::test]
async fn the_longest_trace_that_a_balancer_records_is_played() {
    let plane = Plane::new().await;
    let line = |nth: usize| match nth % 2 {
        0 => "{\"at_ms\":1234567890123,\"event\":\"arrive\",\"hint\":\"0123abcd\"}\n",
        _ => "{\"at_ms\":1234567890123,\"event\":\"depart\"}\n",
    };
    let trace: String = (0..100)
        .map(|server| up(server, 9))
        .chain((0..EVENTS_MAX).map(|nth| line(nth).to_owned()))
        .collect();
    assert!(trace.len() > 64 << 10);
    let answer = plane
        .post("/v1/balancing/preview", json!({"trace": trace, "strategies": ["round-robin"]}))
        .await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.body["items"][0]["arrivals"], EVENTS_MAX / 2);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_with_what_to_do_and_other_routes_keep_theirs() {
    let plane = Plane::new().await;
    let frame = json!({"trace": ""}).to_string().len();
    let of = |bytes: usize| json!({"trace": " ".repeat(bytes - frame)});
    let most = plane.post("/v1/balancing/preview", of(BODY_BYTES_MAX)).await.problem(422);
    assert!(
        most["detail"].as_str().unwrap().contains("the trace is empty"),
        "it was read: {most}"
    );
    let problem = plane.post("/v1/balancing/preview", of(BODY_BYTES_MAX + 1)).await.problem(413);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("16 MiB") && detail.contains("fastchatd balancer simulate"),
        "{detail}"
    );
    plane.post("/v1/servers", of(65 << 10)).await.problem(413);
}

#[tokio::test]
async fn a_short_trace_that_takes_long_is_refused_before_it_is_played() {
    let plane = Plane::new().await;
    let crowd = |servers: usize, clients: &[u64]| {
        let clients = clients.iter().chain(std::iter::repeat(&0));
        (0..servers)
            .zip(clients)
            .map(|(server, clients)| up(server, *clients))
            .collect::<String>()
    };
    for (trace, said) in [
        (crowd(101, &[]), "101 servers"),
        (crowd(2, &[1_000_000, 1]), "1000001 times"),
        (crowd(26, &[1_000_000]), "1000000 times on 26 servers"),
    ] {
        let problem = plane.post("/v1/balancing/preview", json!({"trace": trace})).await.problem(422);
        let error = &problem["errors"][0];
        assert_eq!(error["pointer"], "/trace");
        let detail = error["detail"].as_str().unwrap();
        assert!(detail.contains(said) && detail.contains("fastchatd balancer simulate"), "{detail}");
    }
}

#[tokio::test]
async fn one_preview_is_played_at_a_time_and_the_next_one_is_told_to_ask_again() {
    let plane = Plane::new().await;
    let under_way = ONE.try_acquire().unwrap();
    let problem = plane.post("/v1/balancing/preview", json!({})).await.problem(503);
    assert!(problem["detail"].as_str().unwrap().contains("ask again"), "{problem}");
    drop(under_way);
    let short = json!({"synthetic": {"for_s": 1}, "strategies": ["random"]});
    assert_eq!(plane.post("/v1/balancing/preview", short).await.status, 200);
}
