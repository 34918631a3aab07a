//! The balancing strategy, changed while clients come.

use super::{
    client::{Client, assign},
    harness::{Fleet, admin_binary, until},
    rest::Rest,
};
use fastchat_balancing::simulate::{Event, Trace};
use fastchat_wire::chat::{assign::Assign, ping::Ping};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    io::Write,
    process::{Command, Stdio},
};

const NAMES: [&str; 3] = ["s1", "s2", "s3"];

async fn assigned(client: &mut Client) -> String {
    client.ask(&Assign::default()).await.expect("a server").server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_strategy_changes_live_and_no_client_notices() {
    let fleet = Fleet::start();
    let rest = fleet.rest();
    // A client that stays, and one connection to the balancer over the whole change.
    let (mut staying, _) = Client::registered(fleet.server("s1"), "staying").await;
    let mut asking = Client::connect(fleet.balancer()).await.expect("the balancer listens");
    until("s1's connection is known to the balancer", 5, async || {
        // least-load gives the other two first, again and again.
        let first_two = [assigned(&mut asking).await, assigned(&mut asking).await];
        (!first_two.contains(&"s1".to_owned())).then_some(())
    })
    .await;

    let before = rest.get("/v1/balancing").await;
    assert_eq!(before["strategy"], "least-load");
    let without = rest
        .request(Method::PUT, "/v1/balancing")
        .json(&json!({"strategy": "round-robin"}))
        .send()
        .await
        .unwrap();
    assert_eq!(without.status(), StatusCode::PRECONDITION_REQUIRED);
    assert_eq!(
        rest.put("/v1/balancing", "\"999\"", &json!({"strategy": "round-robin"}))
            .await
            .status(),
        StatusCode::PRECONDITION_FAILED
    );
    let unknown = rest.put("/v1/balancing", "*", &json!({"strategy": "astrology"})).await;
    assert_eq!(unknown.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(unknown.headers()["content-type"], "application/problem+json");
    let problem: Value = unknown.json().await.unwrap();
    assert!(
        problem["errors"][0]["detail"].as_str().unwrap().contains("round-robin"),
        "{problem}"
    );

    let changed = rest
        .put("/v1/balancing?wait=applied", "*", &json!({"strategy": "round-robin"}))
        .await;
    assert_eq!(changed.status(), StatusCode::OK);
    let etag = changed.headers()["etag"].to_str().unwrap().to_owned();
    let document: Value = changed.json().await.unwrap();
    assert_eq!(document["strategy"], "round-robin");
    assert_eq!(document["balancers"][0]["applied_generation"], document["generation"]);
    assert_ne!(document["generation"], before["generation"]);

    // Seen in the assignments, on the connection that was open all along: strictly in turn.
    let mut turns = Vec::new();
    for _ in 0..9 {
        turns.push(assigned(&mut asking).await);
    }
    for window in turns.windows(3) {
        let mut names = window.to_vec();
        names.sort();
        assert_eq!(names, NAMES, "round-robin: {turns:?}");
    }
    staying.ask(&Ping {}).await.expect("nobody was disconnected");
    let back = rest.put("/v1/balancing?wait=applied", &etag, &json!({"strategy": "random"})).await;
    assert_eq!(back.status(), StatusCode::OK, "the ETag of the last change is current");
}

/// Connections that the balancer knows of, on each server.
async fn known(rest: &Rest) -> Vec<u64> {
    let balancer = rest.get("/v1/balancers/b1").await;
    let servers = balancer["servers"].as_array().expect("its servers");
    servers.iter().map(|server| server["connections"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn least_load_keeps_any_two_servers_within_one_client_under_churn() {
    let fleet = Fleet::start();
    let rest = fleet.rest();
    let even = json!({"strategy": "least-load", "parameters": {"slow_start_s": 0}});
    let changed = rest.put("/v1/balancing?wait=applied", "*", &even).await;
    assert_eq!(changed.status(), StatusCode::OK);
    until("the balancer knows all servers", 5, async || {
        (known(&rest).await.len() == 3).then_some(())
    })
    .await;
    let all_known = async |clients: usize| {
        let known = async || (known(&rest).await.iter().sum::<u64>() == clients as u64).then_some(());
        until("the balancer knows all clients", 5, known).await;
    };

    let mut here: Vec<(String, Client)> = Vec::new();
    for step in 0..40 {
        // At least one arrives between any two that depart.
        if step % 4 == 3 {
            all_known(here.len()).await;
            drop(here.swap_remove(step * 7 % here.len()));
            all_known(here.len()).await;
        }
        let assigned = assign(fleet.balancer(), &Assign::default()).await.expect("a server");
        let client = Client::greeted(&assigned.address.unwrap(), Some(assigned.ticket)).await;
        here.push((assigned.server, client.expect("it greets")));
        let counts = NAMES.map(|name| here.iter().filter(|(server, _)| server == name).count());
        assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
    }
    let balancing = until("imbalances are shown", 5, async || {
        let shown = rest.get("/v1/balancing").await;
        shown["balancers"][0]["imbalance"]["random"].is_number().then_some(shown)
    })
    .await;
    assert_eq!(balancing["balancers"][0]["imbalance"]["least-load"], 0.0, "{balancing}");

    // What came and went can be played again: as an operator does it.
    let page = admin(&fleet, &["balancing", "trace"], "").0;
    let trace = Trace::parse(&page).expect("a trace");
    let arrivals = trace.lines().iter().filter(|line| matches!(line.event, Event::Arrive { .. }));
    assert!(arrivals.count() >= 40, "{page}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let svg = folder.path().join("imbalance.svg");
    let preview = ["balancing", "preview", "--trace", "-", "--svg", svg.to_str().expect("UTF-8")];
    let (table, _, code) = admin(&fleet, &preview, &page);
    assert_eq!((table.lines().count(), code), (8, Some(0)), "a head and six strategies: {table}");
    assert!(std::fs::read_to_string(svg).expect("a picture").starts_with("<svg "));
    let (_, said, code) = admin(
        &fleet,
        &["balancing", "preview", "--trace", "-"],
        &format!("{page}{{\"at_ms\":1}}\n"),
    );
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("line {}: missing field `event`", trace.lines().len() + 1)),
        "{said}"
    );
}

/// What `fastchat-admin` answers, says on stderr and ends with.
fn admin(fleet: &Fleet, arguments: &[&str], input: &str) -> (String, String, Option<i32>) {
    let mut child = Command::new(admin_binary())
        .args(arguments)
        .args(["--url", &fleet.line.admin, "--token-file"])
        .arg(&fleet.line.token_file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("fastchat-admin starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_added_and_removed_while_the_fleet_runs() {
    let fleet = Fleet::start_with(&["--servers", "1"]);
    let rest = fleet.rest();
    let added = rest.post("/v1/servers", &json!({})).await;
    assert_eq!(added.status(), StatusCode::ACCEPTED);
    let operation = added.headers()["location"].to_str().unwrap().to_owned();
    let done = rest.get(&format!("{operation}?wait=20s")).await;
    assert_eq!(done["state"], "succeeded", "{done}");
    let server = rest.server("s2").await.expect("s2");
    assert_eq!(server["state"], "ready");

    let mut asking = Client::connect(fleet.balancer()).await.unwrap();
    let names = until("the new server gets clients", 5, async || {
        let names = [assigned(&mut asking).await, assigned(&mut asking).await];
        names.contains(&"s2".to_owned()).then_some(names)
    })
    .await;
    assert!(names.contains(&"s1".to_owned()));

    // People on both are connected to each other by the bus.
    let (mut alice, _) = Client::registered(fleet.server("s1"), "alice").await;
    let (mut bob, bob_id) = Client::registered(server["address"].as_str().unwrap(), "bob").await;
    bob.raw(r#"{"op":"conversations","id":9000,"limit":1}"#).await.unwrap();
    let group = alice
        .create(fastchat_wire::chat::create::ConversationKind::Group, &[bob_id.account])
        .await
        .unwrap();
    let seq = alice.append(group, "welcome").await.unwrap();
    loop {
        let (event, _) = bob
            .event::<fastchat_wire::chat::entry::EntryEvent>()
            .await
            .expect("bob hears of it");
        if event.seq == seq {
            break;
        }
    }

    // Removing s2: bob is asked to move, and the server ends.
    let removed = rest.delete("/v1/servers/s2").await;
    assert_eq!(removed.status(), StatusCode::ACCEPTED);
    let operation = removed.headers()["location"].to_str().unwrap().to_owned();
    let (asked, _) = bob
        .event::<fastchat_wire::chat::move_to::Move>()
        .await
        .expect("bob is asked to move");
    let elsewhere = assign(
        fleet.balancer(),
        &Assign {
            move_id: Some(asked.id),
            resume: true,
            ..Assign::default()
        },
    )
    .await
    .expect("another server");
    assert_eq!(elsewhere.server, "s1");
    let mut moved = Client::greeted(&elsewhere.address.unwrap(), Some(elsewhere.ticket))
        .await
        .expect("s1 greets");
    moved.resume(&bob_id.token).await.expect("bob's session goes on");
    drop(bob);
    let done = rest.get(&format!("{operation}?wait=30s")).await;
    assert_eq!(done["state"], "succeeded", "{done}");
    assert_eq!(
        rest.delete("/v1/servers/s1").await.status(),
        StatusCode::CONFLICT,
        "the last one stays"
    );
    moved.append(group, "moved").await.expect("bob goes on");
}
