//! `fastchat-load` against a real fleet: it measures, and `check` both proves and can fail.

use super::{
    generator::{Running, figures, load},
    harness::{Fleet, binary, signal, until},
};
use fastchat_schema_testing::Server;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::{process::Command, time::Duration};

#[track_caller]
fn assert_nothing_is_wrong(figures: &Value) {
    for key in ["missing", "duplicates", "out_of_order"] {
        assert_eq!(figures[key], 0, "{key}: {figures}");
    }
}

#[test]
fn every_mode_measures_a_fleet_and_finds_nothing_wrong() {
    let fleet = Fleet::start();
    let accounts = tempfile::tempdir().expect("a temporary folder");
    let run = |arguments: &str| {
        let output = load(&fleet, accounts.path(), &format!("{arguments} --seconds 1 --warmup 0.2"));
        let (figures, code) = figures(&{ output }.output().expect("it runs"));
        assert_eq!(code, Some(0), "{arguments}: {figures}");
        assert_eq!(figures["errors"], json!({}), "{arguments}");
        figures
    };
    for talk in [
        "pairs --pairs 4 --window 8",
        "pairs --pairs 4 --window 8 --spread",
        "pairs --pairs 4 --rate 200 --together",
        "group --members 8 --senders 2 --window 4",
    ] {
        let figures = run(talk);
        assert_nothing_is_wrong(&figures);
        for key in ["delivered_per_s", "acknowledged_per_s"] {
            assert!(figures[key].as_f64().is_some_and(|per_s| per_s > 10.0), "{talk}: {figures}");
        }
        for key in ["send_to_deliver_us", "send_to_stored_us"] {
            let quantile = |name: &str| figures[key][name].as_u64().expect("a quantile");
            assert!(0 < quantile("p50") && quantile("p50") <= quantile("p99"), "{talk}: {figures}");
            assert!(
                quantile("p99") <= quantile("p999") && quantile("p999") <= quantile("max"),
                "{talk}: {figures}"
            );
        }
        for part in ["servers", "balancer", "load_generator"] {
            assert!(figures["cpu_s_per_1000"][part].is_number(), "{talk}: {figures}");
        }
    }
    for repeated in ["reconnect --concurrency 4", "assign --concurrency 4", "signin --concurrency 2"] {
        let figures = run(repeated);
        assert!(
            figures["operations_per_s"].as_f64().is_some_and(|per_s| per_s > 1.0),
            "{repeated}: {figures}"
        );
    }
    let idle = run("idle --connections 50 --per-account 10");
    assert!(idle["bytes_per_connection"].is_u64(), "{idle}");
}

#[test]
fn check_survives_a_killed_server_and_convicts_a_doctored_record() {
    let fleet = Fleet::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let record = folder.path().join("record.json");
    let mut check = load(&fleet, folder.path(), "check --for 5 --conversations 4 --members 3 --rate 100");
    check.arg("--record").arg(&record);
    let mut running = Running::start(check, |_| ());
    running.wait_until_it_measures();
    std::thread::sleep(Duration::from_secs(1));
    signal(fleet.line.servers[0].pid, "KILL");
    let (figures_of_it, code) = running.wait();
    assert_nothing_is_wrong(&figures_of_it);
    assert_eq!((&figures_of_it["findings"], code), (&json!([]), Some(0)), "{figures_of_it}");
    assert!(
        figures_of_it["reconnects"].as_u64() > Some(0),
        "the server had clients: {figures_of_it}"
    );
    assert_eq!(figures_of_it["unacknowledged"], 0, "{figures_of_it}");

    let doctored = folder.path().join("doctored.json");
    let replay = |change: &dyn Fn(&mut Value)| {
        let text = std::fs::read(&record).expect("the record");
        let mut evidence: Value = serde_json::from_slice(&text).expect("JSON");
        change(&mut evidence["conversations"][0]);
        std::fs::write(&doctored, evidence.to_string()).expect("it can be written");
        let mut command = Command::new(binary("fastchat-load"));
        command.args(["check", "--json", "--replay"]).arg(&doctored);
        figures(&command.output().expect("it runs"))
    };
    let (sound, code) = replay(&|_| ());
    assert_eq!((&sound["findings"], code), (&json!([]), Some(0)));
    for key in ["missing", "duplicates", "out_of_order"] {
        let (found, code) = replay(&|conversation| {
            let taken = list(&mut conversation["taken"][1]);
            match key {
                "missing" => _ = taken.pop(),
                "duplicates" => taken.push(taken[1].clone()),
                _ => taken.swap(1, 2),
            }
        });
        assert_eq!((&found[key], code), (&json!(1), Some(1)), "{key}: {found}");
        assert!(
            found["findings"][0].as_str().is_some_and(|text| text.contains("at member 1")),
            "{found}"
        );
    }
}

#[test]
fn an_interrupted_run_ends_with_the_figures_so_far() {
    let fleet = Fleet::start();
    let accounts = tempfile::tempdir().expect("a temporary folder");
    let pairs = load(&fleet, accounts.path(), "pairs --pairs 2 --window 2 --seconds 600 --warmup 0");
    let mut running = Running::start(pairs, |_| ());
    running.wait_until_it_measures();
    running.interrupt();
    let (figures, code) = running.wait();
    assert_eq!((&figures["interrupted"], code), (&json!(true), Some(0)), "{figures}");
    assert!(figures["delivered"].as_u64() > Some(0), "{figures}");
    assert_nothing_is_wrong(&figures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_uses_is_counted_though_its_processes_come_and_go() {
    let database = tokio::task::spawn_blocking(Server::start).await.unwrap();
    let url = database.url("postgres");
    let fleet = Fleet::start_with(&["--servers", "1", "--database", &url]);
    let accounts = tempfile::tempdir().expect("a temporary folder");
    let mut idle = load(&fleet, accounts.path(), "idle --connections 1 --seconds 600 --warmup 0");
    idle.args(["--pid", &format!("database={}", database.pid())]);
    let mut running = Running::start(idle, |_| ());
    tokio::task::block_in_place(|| running.wait_until_it_measures());

    // A connection is a process of PostgreSQL's, and ends with it.
    let mut connection = PgConnection::connect(&url).await.expect("the database");
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let counted: i64 = sqlx::query_scalar("SELECT count(*) FROM generate_series(1, 3000000)")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(counted, 3_000_000);
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let ticks: Vec<f64> = stat.split(' ').skip(13).take(2).map(|field| field.parse().unwrap()).collect();
    let used = ticks.iter().sum::<f64>() / rustix::param::clock_ticks_per_second() as f64;
    connection.close().await.expect("it is closed");
    until("its process has ended", 10, async || {
        (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    })
    .await;

    running.interrupt();
    let (figures, code) = tokio::task::block_in_place(|| running.wait());
    assert_eq!(code, Some(0), "{figures}");
    let told = figures["cpu_s"]["database"].as_f64().expect("the database's CPU time");
    assert!(used > 0.0 && told >= used, "{told} s were told, its process used {used} s");
}

fn list(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().expect("a list")
}
