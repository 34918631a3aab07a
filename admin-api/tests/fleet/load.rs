//! `fastchat-load` against a real fleet: it measures, and `check` both proves and can fail.

use super::harness::{Fleet, binary, signal};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread::JoinHandle,
    time::Duration,
};

/// The program, on a fleet and accounts that its runs share.
fn load(fleet: &Fleet, accounts: &Path, arguments: &str) -> Command {
    let mut command = Command::new(binary("fastchat-load"));
    command
        .args(arguments.split_whitespace())
        .args(["--json", "--balancer", fleet.balancer(), "--admin-url", &fleet.line.admin])
        .arg("--token-file")
        .arg(&fleet.line.token_file)
        .arg("--accounts")
        .arg(accounts)
        .stdin(Stdio::null());
    command
}

/// Its figures, and what it ended with.
#[track_caller]
fn figures(output: &Output) -> (Value, Option<i32>) {
    let text = String::from_utf8_lossy(&output.stderr);
    let figures = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("one JSON object: {e}\n{text}"));
    (figures, output.status.code())
}

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
    let mut check = load(
        &fleet,
        folder.path(),
        "check --seconds 5 --conversations 4 --members 3 --rate 100 --progress",
    );
    let mut running = check
        .arg("--record")
        .arg(&record)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A line of progress says that the members are in and send.
    let stderr = wait_for_line(&mut running, "measuring   1 s");
    std::thread::sleep(Duration::from_secs(1));
    signal(fleet.line.servers[0].pid, "KILL");
    let (figures_of_it, code) = figures(&running.wait_with_output().expect("it ends"));
    stderr.join().expect("no panic");
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
    let mut pairs = load(
        &fleet,
        accounts.path(),
        "pairs --pairs 2 --window 2 --seconds 600 --warmup 0 --progress",
    );
    let mut running = pairs.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let stderr = wait_for_line(&mut running, "measuring   1 s");
    signal(running.id(), "INT");
    let (figures, code) = figures(&running.wait_with_output().expect("it ends"));
    stderr.join().expect("no panic");
    assert_eq!((&figures["interrupted"], code), (&json!(true), Some(0)), "{figures}");
    assert!(figures["delivered"].as_u64() > Some(0), "{figures}");
    assert_nothing_is_wrong(&figures);
}

/// Waits until it has written something on stderr; the rest is read by a thread.
fn wait_for_line(running: &mut Child, text: &str) -> JoinHandle<()> {
    let mut stderr = BufReader::new(running.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        let read = stderr.read_line(&mut line).expect("text");
        assert!(read > 0, "it ended before it said \"{text}\"");
    }
    // What it says later is of no interest, but somebody has to read it.
    std::thread::spawn(move || _ = std::io::copy(&mut stderr, &mut std::io::sink()))
}

fn list(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().expect("a list")
}
