//! `fastchatd balancer simulate`, as it is called.

use std::process::{Command, Output};

fn simulate(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fastchatd"));
    command.args(["balancer", "simulate"]).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn it_prints_a_row_for_each_strategy_and_draws_them() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("imbalance.svg");
    let asked = [
        "--synthetic",
        "--for-s",
        "30",
        "--dies-at-s",
        "10",
        "--svg",
        picture.to_str().unwrap(),
    ];
    let done = simulate(&asked);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let strategies = ["least-bytes", "least-load", "power-of-two", "random", "rendezvous", "round-robin"];
    let drawn = std::fs::read_to_string(&picture).unwrap();
    for strategy in strategies {
        assert!(text(&done.stdout).lines().any(|row| row.starts_with(strategy)), "{strategy}");
        assert!(drawn.contains(strategy), "{strategy}");
    }
    let again = simulate(&asked);
    assert_eq!(text(&again.stdout), text(&done.stdout), "one seed gives one result");
}

#[test]
fn a_trace_is_played_and_one_that_does_not_parse_is_named_by_line_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.jsonl");
    let good = "{\"at_ms\":0,\"event\":\"up\",\"server\":\"s1\"}\n{\"at_ms\":9,\"event\":\"arrive\"}\n";
    std::fs::write(&file, good).unwrap();
    let asked = ["--trace", file.to_str().unwrap(), "--strategy", "random", "--json"];
    let done = simulate(&asked);
    let outcome: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(outcome["items"][0]["arrivals"], 1, "{outcome}");
    std::fs::write(&file, format!("{good}{{\"at_ms\":8,\"event\":\"arrive\"}}\n")).unwrap();
    let refused = simulate(&asked);
    assert_eq!(refused.status.code(), Some(1));
    let line = text(&refused.stderr);
    assert!(
        line.ends_with("trace.jsonl is no trace: line 3: at_ms goes back from 9 to 8\n"),
        "{line}"
    );
}

#[test]
fn options_that_cannot_be_are_one_line_and_exit_code_2() {
    let wrong: [&[&str]; 5] = [
        &[],
        &["--synthetic", "--trace", "x"],
        &["--synthetic", "--strategy", "astrology"],
        &["--synthetic", "--strategy", "random", "--param", "sides=6"],
        &["--synthetic", "--servers", "0"],
    ];
    for args in wrong {
        let refused = simulate(args);
        assert_eq!(refused.status.code(), Some(2), "{args:?}: {}", text(&refused.stderr));
    }
}
