//! Strategies on trial, restarts in the middle of it, rebalancing, pipes, two balancers.

use super::{
    client::{Client, assign},
    generator::{Running, load},
    harness::{Fleet, signal, until},
    rest::{Rest, probe},
};
use fastchat_wire::{
    Block,
    chat::{assign::Assign, create::ConversationKind, move_to::Move, ping::Ping},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The process of that role, which is the only one of it at the start.
fn pid(fleet: &Fleet, role: &str) -> u32 {
    let process = fleet.line.processes.iter().find(|process| process.role == role);
    process.unwrap_or_else(|| panic!("no {role} in {:?}", fleet.line.processes)).pid
}

fn balancer_probes(fleet: &Fleet) -> &str {
    let process = fleet.line.processes.iter().find(|process| process.role == "balancer");
    &process.expect("a balancer").http
}

async fn strategy_in_force(fleet: &Fleet, name: &str) -> bool {
    let Ok(page) = reqwest::get(format!("{}/metrics", balancer_probes(fleet))).await else {
        return false;
    };
    let page = page.text().await.unwrap_or_default();
    let line = page
        .lines()
        .find(|line| line.starts_with("fastchat_balancer_strategy_info") && line.contains(&format!("strategy=\"{name}\"")));
    line.is_some_and(|line| line.ends_with(" 1"))
}

async fn operation(rest: &Rest, answer: reqwest::Response) -> Value {
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let path = answer.headers()["location"].to_str().expect("a path").to_owned();
    rest.get(&format!("{path}?wait=60s")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strategy_on_trial_is_given_up_with_the_control_plane_gone_even_by_a_balancer_that_was_killed() {
    let fleet = Fleet::start();
    let rest = fleet.rest();
    let body = json!({"strategy": "random", "confirm_within_s": 6});
    let put = rest.put("/v1/balancing?wait=applied", "*", &body).await;
    assert_eq!(put.status(), StatusCode::OK);
    let document: Value = put.json().await.expect("JSON");
    assert_eq!(document["trial"]["former"]["strategy"], "least-load");
    assert!(strategy_in_force(&fleet, "random").await);
    // Frozen, not killed: nobody starts it again.
    signal(pid(&fleet, "control"), "STOP");
    signal(pid(&fleet, "balancer"), "KILL");
    until("the balancer goes back by itself", 20, async || {
        strategy_in_force(&fleet, "least-load").await.then_some(())
    })
    .await;
    signal(pid(&fleet, "control"), "CONT");
    let document = until("the control plane learns of it", 10, async || {
        let document = rest.get("/v1/balancing").await;
        (document["strategy"] == "least-load").then_some(document)
    })
    .await;
    assert_eq!(document.get("trial"), None);
    let audit = rest.get("/v1/audit").await;
    let last = &audit["items"].as_array().expect("records").last().expect("one")["record"];
    assert_eq!(
        (&last["who"], &last["reason"]),
        (&json!("balancer/b1"), &json!("nobody confirmed it in time"))
    );

    assert_eq!(
        document["last_trial"]["reason"],
        "random was given up by balancer/b1: nobody confirmed it in time"
    );

    // Confirmed, it stands.
    rest.put("/v1/balancing?wait=applied", "*", &body).await;
    assert_eq!(rest.post("/v1/balancing/confirm", &json!({})).await.status(), StatusCode::OK);
    assert_eq!(rest.post("/v1/balancing/confirm", &json!({})).await.status(), StatusCode::CONFLICT);
    assert_eq!(rest.get("/v1/balancing").await["strategy"], "random");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breached_guard_outlives_the_balancer_that_breached_it_and_the_control_plane_learns_why() {
    let fleet = Fleet::start();
    let rest = fleet.rest();
    let mut asking = Client::connect(fleet.balancer()).await.expect("the balancer listens");
    until("all servers are attached", 5, async || {
        let view = rest.get("/v1/balancers/b1").await;
        (view["servers"].as_array()?.len() == 3).then_some(())
    })
    .await;
    let body = json!({"strategy": "rendezvous", "guard": {"max_imbalance": 0.5}});
    rest.put("/v1/balancing?wait=applied", "*", &body).await;
    signal(pid(&fleet, "control"), "STOP");
    // One room for all: one server gets them all, and stays uneven for two seconds.
    let sticking = Assign {
        hint: Some("room".to_owned()),
        ..Assign::default()
    };
    for _ in 0..12 {
        asking.ask(&sticking).await.expect("a server");
    }
    until("the guard is breached", 10, async || {
        strategy_in_force(&fleet, "least-load").await.then_some(())
    })
    .await;
    signal(pid(&fleet, "balancer"), "KILL");
    until("the next one neither tries it again nor forgets it", 20, async || {
        strategy_in_force(&fleet, "least-load").await.then_some(())
    })
    .await;
    signal(pid(&fleet, "control"), "CONT");
    let last = until("the control plane learns of it", 10, async || {
        let document = rest.get("/v1/balancing").await;
        (document["strategy"] == "least-load").then(|| document["last_trial"].clone())
    })
    .await;
    assert_eq!(last["state"], "failed", "{last}");
    let reason = last["reason"].as_str().expect("a reason");
    assert!(
        reason.starts_with("rendezvous was given up by balancer/b1: the imbalance is "),
        "{reason}"
    );
    let audit = rest.get("/v1/audit").await;
    let record = &audit["items"].as_array().expect("records").last().expect("one")["record"];
    assert_eq!(
        (&record["who"], &record["method"]),
        (&json!("balancer/b1"), &json!("REVERT")),
        "{record}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_balancer_knows_drains_and_strategy_before_its_first_answer() {
    let fleet = Fleet::start();
    let rest = fleet.rest();
    let (mut staying, _) = Client::registered(fleet.server("s3"), "staying").await;
    rest.put("/v1/balancing?wait=applied", "*", &json!({"strategy": "round-robin"}))
        .await;
    let removed = rest.delete("/v1/servers/s3?clients_per_s=1&within_s=600").await;
    let path = removed.headers()["location"].to_str().expect("a path").to_owned();
    until("the balancer excludes s3", 5, async || {
        let view = rest.get("/v1/balancers/b1").await;
        (view["wanted_generation"] == view["applied_generation"]).then_some(())
    })
    .await;
    signal(pid(&fleet, "control"), "STOP");
    signal(pid(&fleet, "balancer"), "KILL");
    // From its very first answer on: in turn, and never the one that drains.
    let mut turns = Vec::new();
    until("it answers again, a hundred times", 20, async || {
        let mut asking = Client::connect(fleet.balancer()).await.ok()?;
        while turns.len() < 100 {
            turns.push(asking.ask(&Assign::default()).await.ok()?.server);
        }
        Some(())
    })
    .await;
    assert!(turns.iter().all(|server| server != "s3"), "{turns:?}");
    let both = turns.windows(2).skip(20);
    assert!(both.clone().all(|pair| pair[0] != pair[1]), "round-robin: {turns:?}");
    signal(pid(&fleet, "control"), "CONT");

    // The drain is taken back: s3 serves on.
    until("the abort is heard", 10, async || {
        (rest.post(&format!("{path}/abort"), &json!({})).await.status() == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(rest.get(&path).await["state"], "failed");
    until("s3 is ready again", 10, async || {
        let server = rest.server("s3").await?;
        (server["state"] == "ready").then_some(())
    })
    .await;
    staying.ask(&Ping {}).await.expect("nobody was closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_server_is_filled_by_moves_and_nothing_is_lost_or_late() {
    let fleet = Fleet::start_with(&["--servers", "2"]);
    let rest = fleet.rest();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let check = load(&fleet, folder.path(), "check --for 9 --conversations 6 --members 4 --rate 60");
    let mut running = Running::start(check, |_| ());
    running.wait_until_it_measures();
    let added = operation(&rest, rest.post("/v1/servers", &json!({})).await).await;
    assert_eq!(added["state"], "succeeded", "{added}");
    let plan: Value = rest
        .post("/v1/balancing/rebalance", &json!({"dry_run": true}))
        .await
        .json()
        .await
        .expect("JSON");
    let moving = plan["clients"].as_u64().expect("a number");
    assert!(moving >= 6, "{plan}");
    let body = json!({"clients_per_s": 20, "cool_down_s": 0});
    let answer = rest.post("/v1/balancing/rebalance", &body).await;
    let done = operation(&rest, answer).await;
    assert_eq!(
        (&done["state"], &done["kind"]),
        (&json!("succeeded"), &json!("rebalance")),
        "{done}"
    );
    let s3 = rest.server("s3").await.expect("s3");
    assert!(s3["connections"].as_u64() >= Some(moving / 2), "it has clients: {s3}, {plan}");
    let (figures, code) = running.wait();
    assert_eq!((&figures["findings"], code), (&json!([]), Some(0)), "{figures}");
    for key in ["missing", "duplicates", "out_of_order"] {
        assert_eq!(figures[key], 0, "{key}: {figures}");
    }
    assert!(
        figures["away_us"]["max"].as_u64() > Some(0),
        "who moved was away for a moment: {figures}"
    );
}

/// Signs in on that server and follows every move until `end`; how long it had been where it was each time that it was asked to go.
async fn guest(balancer: String, server: String, name: String, end: CancellationToken) -> Vec<Duration> {
    // Before it dials: the server has it for no longer than that.
    let mut came = Instant::now();
    let (mut client, me) = Client::registered(&server, &name).await;
    let mut stays = Vec::new();
    while let Some(asked) = end.run_until_cancelled(client.event::<Move>()).await {
        stays.push(came.elapsed());
        let moving = Assign {
            move_id: Some(asked.expect("it is asked, not closed").0.id),
            resume: true,
            ..Assign::default()
        };
        let assigned = assign(&balancer, &moving).await.expect("another server");
        came = Instant::now();
        let elsewhere = Client::greeted(&assigned.address.expect("an address"), Some(assigned.ticket)).await;
        let mut elsewhere = elsewhere.expect("it greets");
        elsewhere.resume(&me.token).await.expect("the session goes on");
        client = elsewhere;
    }
    stays
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_moved_twice_within_the_cool_down() {
    const COOL_DOWN_S: u64 = 2;
    let fleet = Fleet::start_with(&["--servers", "1"]);
    let rest = fleet.rest();
    let added = operation(&rest, rest.post("/v1/servers", &json!({})).await).await;
    assert_eq!(added["state"], "succeeded", "{added}");
    let s2 = rest.server("s2").await.expect("s2")["address"]
        .as_str()
        .expect("an address")
        .to_owned();
    let (end, mut guests) = (CancellationToken::new(), JoinSet::new());
    let mut invite = |server: &str, names: std::ops::Range<usize>| {
        for n in names {
            let (balancer, server) = (fleet.balancer().to_owned(), server.to_owned());
            guests.spawn(guest(balancer, server, format!("guest{n}"), end.clone()));
        }
    };
    let counts = async |expected: [u64; 2]| {
        until("the clients are where they should be", 15, async || {
            let servers = rest.servers().await?;
            let counts: Vec<_> = servers.iter().filter_map(|server| server["connections"].as_u64()).collect();
            (counts == expected).then_some(())
        })
        .await;
    };
    let rebalance = async || {
        let body = json!({"clients_per_s": 100, "within_s": 15, "cool_down_s": COOL_DOWN_S});
        let done = operation(&rest, rest.post("/v1/balancing/rebalance", &body).await).await;
        assert_eq!(done["state"], "succeeded", "{done}");
    };
    invite(fleet.server("s1"), 0..8);
    counts([8, 0]).await;
    rebalance().await;
    counts([4, 4]).await;
    // At once s2 has too many: those who have just moved there among them.
    invite(&s2, 8..12);
    counts([4, 8]).await;
    rebalance().await;
    counts([6, 6]).await;
    end.cancel();
    let stays = guests.join_all().await;
    let stays: Vec<_> = stays.into_iter().flatten().collect();
    assert_eq!(stays.len(), 4 + 2, "{stays:?}");
    assert!(stays.iter().all(|stay| *stay >= Duration::from_secs(COOL_DOWN_S)), "{stays:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_cannot_be_redirected_chats_through_the_balancer() {
    let fleet = Fleet::start();
    let mut piped = Client::connect(fleet.balancer()).await.expect("the balancer listens");
    let proxy = Assign {
        proxy: true,
        ..Assign::default()
    };
    let (assigned, _) = piped.call(&proxy, &Block::none()).await.expect("a server");
    assert_eq!(assigned.address, None);
    piped.hello(Some(assigned.ticket)).await.expect("the server greets");
    let me = piped.register("piped").await.expect("registered");
    let group = piped.create(ConversationKind::Group, &[]).await.expect("a group");
    piped.append(group, "through the balancer").await.expect("appended");
    let server = fleet.rest().server(&assigned.server).await.expect("the server");
    until("it counts on its server", 5, async || {
        let server = fleet.rest().server(&assigned.server).await?;
        (server["connections"] == 1).then_some(())
    })
    .await;
    assert_eq!(server["state"], "ready");
    let (status, page) = probe(balancer_probes(&fleet), "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.lines().any(|line| line == "fastchat_balancer_pipes 1"), "one pipe");
    // The server goes, and so does the pipe: the session goes on elsewhere.
    let pid = fleet
        .line
        .servers
        .iter()
        .find(|server| server.name == assigned.server)
        .expect("its pid")
        .pid;
    signal(pid, "KILL");
    assert!(piped.is_closed_within(Duration::from_secs(5)).await);
    let elsewhere = assign(
        fleet.balancer(),
        &Assign {
            resume: true,
            ..Assign::default()
        },
    )
    .await
    .expect("another one");
    let mut again = Client::greeted(&elsewhere.address.expect("an address"), Some(elsewhere.ticket))
        .await
        .expect("it greets");
    again.resume(&me.token).await.expect("the session lives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_balancers_see_nearly_the_same_load() {
    let fleet = Fleet::start();
    let rest = fleet.rest();
    let added = operation(&rest, rest.post("/v1/balancers", &json!({})).await).await;
    assert_eq!(added["state"], "succeeded", "{added}");
    let second = rest.get("/v1/balancers/b2").await["address"]
        .as_str()
        .expect("an address")
        .to_owned();
    until("b2 knows all servers", 10, async || {
        let view = rest.get("/v1/balancers/b2").await;
        (view["servers"].as_array()?.len() == 3).then_some(())
    })
    .await;
    let mut clients = Vec::new();
    for n in 0..60 {
        let balancer = if n % 2 == 0 { fleet.balancer() } else { second.as_str() };
        let assigned = assign(balancer, &Assign::default()).await.expect("a server");
        let address = assigned.address.expect("an address");
        clients.push(Client::greeted(&address, Some(assigned.ticket)).await.expect("it greets"));
    }
    let counts = until("all are counted", 5, async || {
        let servers = rest.servers().await?;
        let counts: Vec<_> = servers.iter().filter_map(|server| server["connections"].as_u64()).collect();
        (counts.iter().sum::<u64>() == 60).then_some(counts)
    })
    .await;
    // Each knows the other's arrivals within 100 ms; alone they would be one apart.
    let (most, least) = (counts.iter().max().expect("three"), counts.iter().min().expect("three"));
    assert!(most - least <= 6, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_of_a_killed_server_come_back_no_faster_than_the_others_can_take_and_nobody_is_refused() {
    let fleet = Fleet::start();
    let rest = fleet.rest();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let herd = load(&fleet, folder.path(), "herd --clients 60 --seconds 12 --warmup 0");
    let mut running = Running::start(herd, |_| ());
    running.wait_until_it_measures();
    // Two a second for each server, one of them at once.
    let limits = json!({"server": {"resumes": {"per_s": 2, "burst": 1}}});
    assert_eq!(rest.put("/v1/limits", "*", &limits).await.status(), StatusCode::OK);
    until("the balancer has it", 5, async || {
        let view = rest.get("/v1/balancers/b1").await;
        (view["wanted_generation"] == view["applied_generation"]).then_some(())
    })
    .await;
    signal(fleet.line.servers[0].pid, "KILL");
    let (figures, code) = running.wait();
    assert_eq!((&figures["errors"], code), (&json!({}), Some(0)), "{figures}");
    let herd = &figures["herd"];
    assert!(herd["lost"].as_u64() >= Some(15), "its server had clients: {herd}");
    assert_eq!(herd["away_at_end"], 0, "{herd}");
    // Three servers at most, three each in a second, and what was counted a moment late.
    assert!(herd["peak_per_s"].as_u64() <= Some(12), "{herd}");
    assert!(herd["all_back_s"].as_f64() > Some(1.0), "they were spread: {herd}");
}
