//! Traces, good and bad, and what strategies make of them.

use super::*;
use crate::strategy::STRATEGIES;
use proptest::prelude::{any, prop_assert, proptest};

fn balancing(strategy: &str) -> Balancing {
    Balancing {
        strategy: strategy.to_owned(),
        parameters: BTreeMap::new(),
        generation: 0,
    }
}

fn churn() -> Churn {
    Churn {
        weights: vec![1.0; 4],
        clients_per_s: 20.0,
        stay_s: 20.0,
        for_s: 120.0,
        dies_at_s: None,
        hinted: 0.0,
    }
}

fn play(trace: &Trace, strategy: &str) -> Outcome {
    simulate(trace, &balancing(strategy), 1).unwrap()
}

fn fault(text: &str) -> String {
    Trace::parse(text).unwrap_err().to_string()
}

const UP: &str = r#"{"at_ms":5,"event":"up","server":"s1"}"#;

#[test]
fn a_trace_says_beforehand_what_playing_it_takes() {
    let size = |lines: &[&str]| Trace::parse(&lines.join("\n")).unwrap().size();
    let up = r#"{"at_ms":0,"event":"up","server":"s1","clients":7}"#;
    let down = r#"{"at_ms":2,"event":"down","server":"s1"}"#;
    let dies = r#"{"at_ms":2,"event":"down","server":"s1","back_within_ms":9}"#;
    let more = r#"{"at_ms":1,"event":"arrive"}"#;
    let again = r#"{"at_ms":3,"event":"up","server":"s2"}"#;
    let with = |servers, steps| Size { servers, steps };
    assert_eq!(size(&[up, more, down, again]), with(1, 8), "one at a time");
    assert_eq!(size(&[up, more, dies]), with(1, 16), "they come back");
    assert_eq!(size(&[up, more, again.replace('3', "1").as_str()]), with(2, 8));
    assert_eq!(with(2, 8).work(), 16);
    // No less than what is really played.
    let mut churn = churn();
    churn.dies_at_s = Some(60.0);
    let trace = churn.trace(1);
    let outcome = play(&trace, "random");
    assert!(
        trace.size().steps >= outcome.arrivals,
        "{:?}, {} arrivals",
        trace.size(),
        outcome.arrivals
    );
}

#[test]
fn a_line_that_makes_no_sense_is_named_with_its_reason() {
    assert_eq!(fault(""), "line 1: the trace is empty: its first line says which server is up");
    assert_eq!(fault("\n\nup s1"), "line 3: expected value (column 1)");
    let after = |line: &str| fault(&format!("{UP}\n{line}"));
    assert_eq!(after(r#"{"at_ms":6}"#), "line 2: missing field `event` (column 11)");
    assert!(
        after(r#"{"at_ms":6,"event":"jump"}"#)
            .starts_with("line 2: unknown variant `jump`, expected one of `up`, `down`, `arrive`, `depart`")
    );
    assert!(after(r#"{"at_ms":-6,"event":"depart"}"#).starts_with("line 2: invalid value"));
    assert_eq!(after(r#"{"at_ms":4,"event":"depart"}"#), "line 2: at_ms goes back from 5 to 4");
    assert_eq!(
        after(r#"{"at_ms":3155760000001,"event":"depart"}"#),
        "line 2: at_ms is at most 3155760000000"
    );
    assert_eq!(after(UP), "line 2: server \"s1\" is up already");
    assert_eq!(
        after(r#"{"at_ms":6,"event":"down","server":"s2"}"#),
        "line 2: server \"s2\" isn't up"
    );
    assert_eq!(
        after(r#"{"at_ms":6,"event":"up","server":"s2","weight":0}"#),
        "line 2: weight is a number from 0.001 to 1000, not 0"
    );
    assert_eq!(
        after(r#"{"at_ms":6,"event":"up","server":"s2","clients":1000001}"#),
        "line 2: clients is at most 1000000"
    );
    assert_eq!(after(r#"{"at_ms":6,"event":"depart","client":1}"#), "line 2: client 1 isn't there");
    let arrives = r#"{"at_ms":7,"event":"arrive","client":1}"#;
    assert_eq!(after(&format!("{arrives}\n{arrives}")), "line 3: client 1 has come already");
}

#[test]
fn a_trace_is_what_its_lines_say() {
    let text = r#"
{"at_ms":0,"event":"up","server":"s1","weight":2,"clients":6}
{"at_ms":0,"event":"up","server":"s2"}
{"at_ms":10,"event":"arrive","client":1,"hint":"room-7"}
{"at_ms":20,"event":"depart","client":1}
{"at_ms":1000,"event":"depart"}
{"at_ms":2000,"event":"down","server":"s1","back_within_ms":0}
{"at_ms":3000,"event":"arrive"}
"#;
    let trace = Trace::parse(text).unwrap();
    assert_eq!(trace.span(), (0, 3_000));
    let again: Vec<_> = trace.lines().iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    assert_eq!(Trace::parse(&again.join("\n")).unwrap(), trace);
    let outcome = play(&trace, "least-load");
    // One came, five came back, one came.
    assert_eq!((outcome.arrivals, outcome.refused), (7, 0));
    // Six on a server whose part is four: half too much, while nobody is on the other.
    assert_eq!(outcome.max, 0.5);
    assert_eq!(outcome.timeline.len(), POINTS);
}

#[test]
fn without_a_server_everybody_is_refused() {
    let text = format!(
        "{UP}\n{}\n{}",
        r#"{"at_ms":6,"event":"down","server":"s1"}"#, r#"{"at_ms":7,"event":"arrive"}"#
    );
    let outcome = play(&Trace::parse(&text).unwrap(), "random");
    assert_eq!((outcome.arrivals, outcome.refused), (1, 1));
}

#[test]
fn strategies_are_told_apart_as_theory_says() {
    let trace = churn().trace(7);
    let [least_load, power, random] = ["least-load", "power-of-two", "random"].map(|name| play(&trace, name).mean);
    assert!(least_load < power && power < random, "{least_load} {power} {random}");
    assert!(least_load < 0.02, "{least_load}");
}

#[test]
fn one_seed_gives_one_outcome_of_every_strategy() {
    let trace = Churn {
        dies_at_s: Some(40.0),
        hinted: 0.5,
        for_s: 60.0,
        ..churn()
    }
    .trace(3);
    for entry in STRATEGIES {
        let outcome = play(&trace, entry.info.name);
        assert_eq!(outcome, play(&trace, entry.info.name));
        assert_eq!(outcome.refused, 0);
        assert!(outcome.mean <= outcome.p99 + 1e-9 || outcome.p99 <= outcome.max, "{outcome:?}");
        assert!(outcome.max > 0.2, "a dead server's return is seen under {}", entry.info.name);
    }
}

#[test]
fn synthetic_clients_come_and_stay_as_they_are_asked_to() {
    let trace = Churn { for_s: 1_000.0, ..churn() }.trace(11);
    let mut here = 0i64;
    let (mut came, mut sum, mut looks) = (0, 0, 0);
    for line in trace.lines() {
        match &line.event {
            Event::Arrive { .. } => (here, came) = (here + 1, came + i64::from(line.at_ms > 0)),
            Event::Depart { .. } => here -= 1,
            Event::Up { .. } | Event::Down { .. } => {}
        }
        if line.at_ms > 200_000 {
            (sum, looks) = (sum + here, looks + 1);
        }
    }
    // 20 a second for 1,000 s, five standard deviations of a Poisson count.
    assert!((came - 20_000).abs() < 5 * 142, "{came}");
    // Little's law: 20 a second for 20 s each.
    let mean = sum as f64 / f64::from(looks);
    assert!((mean - 400.0).abs() < 40.0, "{mean}");
}

#[test]
fn churn_that_cannot_be_is_refused_by_its_field() {
    let faults = [
        (
            Churn {
                weights: vec![],
                ..churn()
            },
            "/weights",
        ),
        (
            Churn {
                weights: vec![1.0; 1_001],
                ..churn()
            },
            "/weights",
        ),
        (
            Churn {
                weights: vec![1.0, f64::NAN],
                ..churn()
            },
            "/weights",
        ),
        (
            Churn {
                clients_per_s: 0.0,
                ..churn()
            },
            "/clients_per_s",
        ),
        (Churn { stay_s: -1.0, ..churn() }, "/stay_s"),
        (
            Churn {
                for_s: f64::INFINITY,
                ..churn()
            },
            "/for_s",
        ),
        (
            Churn {
                for_s: 4e7,
                clients_per_s: 1e-6,
                ..churn()
            },
            "/for_s",
        ),
        (
            Churn {
                clients_per_s: 21.0,
                ..churn()
            },
            "/clients_per_s",
        ),
        (
            Churn {
                dies_at_s: Some(120.0),
                ..churn()
            },
            "/dies_at_s",
        ),
        (Churn { hinted: 1.1, ..churn() }, "/hinted"),
    ];
    for (wrong, pointer) in faults {
        let fault = wrong.check(2_800).unwrap_err();
        assert_eq!(fault.pointer, pointer, "{fault}");
    }
    assert_eq!(churn().check(2_800), Ok(()), "20 a second for 20 s and 120 s");
}

#[test]
fn the_picture_has_a_line_and_a_name_for_each_strategy() {
    let trace = churn().trace(1);
    let outcomes: Vec<_> = STRATEGIES.iter().map(|entry| play(&trace, entry.info.name)).collect();
    let picture = svg(&outcomes);
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    assert_eq!(picture.matches("<polyline ").count(), STRATEGIES.len());
    for entry in STRATEGIES {
        assert!(picture.contains(&format!(">{}</text>", entry.info.name)));
    }
    assert!(!picture.contains("NaN") && !picture.contains("inf"));
    assert!(svg(&[]).ends_with("</svg>\n"), "nothing to show is a picture too");
}

proptest! {
    #[test]
    fn whatever_is_read_as_a_trace_is_answered_and_never_panics(text in ".{0,200}", at in any::<usize>()) {
        let good = format!("{UP}\n{text}");
        let broken: String = good.chars().enumerate().filter(|(nth, _)| *nth != at % good.len()).map(|(_, char)| char).collect();
        if let Ok(trace) = Trace::parse(&broken) {
            prop_assert!(simulate(&trace, &balancing("least-load"), 1).is_ok());
        }
    }
}
