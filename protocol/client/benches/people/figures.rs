//! Figures: their medians, and how they are shown.

use serde_json::{Value, json};
use std::{fmt::Write, fs, process::Command, time::Duration};

/// What was measured, in the order in which it was.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Figure>);

#[derive(Debug)]
struct Figure {
    part: &'static str,
    what: String,
    value: f64,
    unit: &'static str,
}

impl Figures {
    pub(crate) fn add(&mut self, part: &'static str, what: impl Into<String>, value: f64, unit: &'static str) {
        self.0.push(Figure {
            part,
            what: what.into(),
            value,
            unit,
        });
    }

    pub(crate) fn add_ms(&mut self, part: &'static str, what: impl Into<String>, time: Duration) {
        self.add(part, what, time.as_secs_f64() * 1e3, "ms");
    }

    /// Percentiles 50 and 99 of some times.
    pub(crate) fn add_percentiles(&mut self, part: &'static str, what: &str, times: &[Duration]) {
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            self.add_ms(part, format!("{what}, {name}"), percentile(times, share));
        }
    }

    /// The median of each figure over several runs.
    pub(crate) fn median(runs: &[Self]) -> Self {
        let first = runs.first().map_or(&[][..], |run| &run.0);
        let median = |figure: &Figure| {
            let is_same = |other: &&Figure| (other.part, &other.what) == (figure.part, &figure.what);
            let mut values: Vec<f64> = runs
                .iter()
                .filter_map(|run| run.0.iter().find(is_same))
                .map(|figure| figure.value)
                .collect();
            values.sort_by(f64::total_cmp);
            Figure {
                part: figure.part,
                what: figure.what.clone(),
                value: values.get(values.len() / 2).copied().unwrap_or(f64::NAN),
                unit: figure.unit,
            }
        };
        Self(first.iter().map(median).collect())
    }

    pub(crate) fn json(&self, runs: usize) -> Value {
        let figures: Vec<Value> = self
            .0
            .iter()
            .map(|figure| json!({"part": figure.part, "what": figure.what, "value": figure.value, "unit": figure.unit}))
            .collect();
        json!({"machine": machine(), "commit": commit(), "load": load(), "runs": runs, "figures": figures})
    }

    pub(crate) fn table(&self, runs: usize) -> String {
        let mut table = format!(
            "machine  {}\ncommit   {}\nmedian   of {runs} runs; load at the end {}\n",
            machine(),
            commit(),
            load()
        );
        let mut part = "";
        for figure in &self.0 {
            if figure.part != part {
                part = figure.part;
                let _ = write!(table, "\n{part}\n");
            }
            let _ = writeln!(table, "  {:<76} {:>9} {}", figure.what, shown(figure.value), figure.unit);
        }
        table
    }
}

/// Three digits at least, none that mean nothing.
fn shown(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// The value that a share of all are not above.
pub(crate) fn percentile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a few thousand times, and a share of them"
    )]
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The machine's load average over the last minute.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}

fn machine() -> String {
    let read = |path, key| {
        let file = fs::read_to_string(path).unwrap_or_default();
        let line = file.lines().find(|line| line.starts_with(key)).unwrap_or(": unknown");
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} x {}, {} memory, Linux {}",
        read("/proc/cpuinfo", "model name"),
        read("/proc/meminfo", "MemTotal"),
        kernel.trim()
    )
}

fn commit() -> String {
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
        .output();
    let described = described.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    described
        .ok()
        .filter(|commit| !commit.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}
