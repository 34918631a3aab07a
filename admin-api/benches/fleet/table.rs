//! Medians beside what they are to reach, for the terminal and for the document.

use crate::{
    machine,
    rows::{Aim, Figure, Row},
};
use anyhow::{Context, Result, ensure};
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// Whatever stands below this line of the document is people's, and stays.
const MARKER: &str = "<!-- Written by hand from here on: `make bench` keeps it. -->";

/// What the document says before the table.
const HEAD: &str = "# A fleet, in figures

```
make bench                                                    # all figures of all benches, three runs
make bench ARGS=\"--runs 1 --quick\"                            # to look at it
cargo bench --package fastchat-admin --bench fleet -- --only latency-postgres --runs 1     # one row, once
```

`admin-api/benches/fleet` starts each fleet by `fastchat-admin up` in a temporary folder, puts load on it with
`fastchat-load`, and writes this page. Servers, balancer, control plane, database and load generator share one machine.
Blocks have 200 bytes. PostgreSQL syncs every commit (`fsync`, `synchronous_commit` and `full_page_writes` on); SQLite syncs
every commit, too. A message counts as delivered when its receiver has it, and a run in which one is missing, doubled
or out of order has no figure. Each run has fleets of its own; shown is the median of the runs, with the least and the most.
";

/// What was measured of a row.
#[derive(Debug)]
pub(crate) struct Measured {
    figures: Vec<(&'static Figure, Vec<f64>)>,
}

impl Measured {
    /// Nothing yet.
    pub(crate) fn new(row: &Row) -> Self {
        Self {
            figures: row.figures.iter().map(|figure| (figure, Vec::new())).collect(),
        }
    }

    /// One run more.
    ///
    /// # Errors
    /// It has not as many values as the row has figures.
    pub(crate) fn add(&mut self, values: &[f64]) -> Result<()> {
        ensure!(values.len() == self.figures.len(), "a row has a value for each of its figures");
        for ((_, all), value) in self.figures.iter_mut().zip(values) {
            all.push(*value);
        }
        Ok(())
    }

    fn lines(&self) -> impl Iterator<Item = Line> {
        self.figures.iter().map(|(figure, values)| {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let median = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
            let (aim, reached) = match figure.aim {
                Aim::AtLeast(least) => (format!("≥ {} {}", shown(least), figure.unit), yes(median >= least)),
                Aim::AtMost(most) => (format!("≤ {} {}", shown(most), figure.unit), yes(median <= most)),
                Aim::None => (String::new(), ""),
            };
            let spread = match (sorted.first(), sorted.last()) {
                (Some(least), Some(most)) if sorted.len() > 1 => format!("{} – {}", shown(*least), shown(*most)),
                _ => String::new(),
            };
            Line {
                what: figure.what,
                aim,
                ours: if sorted.is_empty() {
                    "no figure".to_owned()
                } else {
                    format!("{} {}", shown(median), figure.unit)
                },
                spread,
                reached,
            }
        })
    }
}

fn yes(reached: bool) -> &'static str {
    if reached { "yes" } else { "no" }
}

struct Line {
    what: &'static str,
    aim: String,
    ours: String,
    spread: String,
    reached: &'static str,
}

/// For the terminal.
pub(crate) fn text(measured: &[Measured], runs: usize) -> String {
    let mut text = format!(
        "machine  {}\ncommit   {}\nmedian   of {runs} runs; load at the end {}\n\n",
        machine::describe(),
        machine::commit(),
        machine::load()
    );
    for line in measured.iter().flat_map(Measured::lines) {
        let Line {
            what,
            aim,
            ours,
            spread,
            reached,
        } = line;
        let _ = writeln!(text, "{what}\n    aim {aim:<16} ours {ours:<16} reached {reached:<5} {spread}");
    }
    text
}

/// Writes the document: where it is.
///
/// # Errors
/// It can't be read or written.
pub(crate) fn write(measured: &[Measured], runs: usize, quick: bool) -> Result<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/BENCHMARKS.md");
    let before = fs::read_to_string(&file).unwrap_or_default();
    let kept = before.split_once(MARKER).map_or("\n", |(_, kept)| kept);
    let sync = machine::sync_time().context("the disk is measured")?;
    let mut text = HEAD.to_owned();
    let quick = if quick { "; quick: a fifth of the time for each" } else { "" };
    let _ = write!(
        text,
        "
```text
machine   {}
disk      4 KiB written and synced in {:.2} ms
database  {}
commit    {}
command   make bench; median of {runs} runs{quick}; load at the end {}
```

| what | aim | ours | least – most | reached |
| --- | --- | --- | --- | --- |
",
        machine::describe(),
        sync.as_secs_f64() * 1e3,
        machine::postgres(),
        machine::commit(),
        machine::load()
    );
    for line in measured.iter().flat_map(Measured::lines) {
        let Line {
            what,
            aim,
            ours,
            spread,
            reached,
        } = line;
        let _ = writeln!(text, "| {what} | {aim} | {ours} | {spread} | {reached} |");
    }
    let _ = write!(text, "\n{MARKER}{kept}");
    fs::write(&file, text).with_context(|| format!("{} is written", file.display()))?;
    Ok(file)
}

/// Three digits at least, none that mean nothing, thousands apart.
fn shown(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{point}{rest}")
}
