//! How fast a fleet is and what it costs: a table of figures, each beside what it is to reach.
//!
//! ```text
//!  make bench                                                                      all rows, three runs each
//!  cargo bench --package fastchat-admin --bench fleet -- --only resumes --runs 1   one row, once
//!
//!  rows.rs    what is measured ──> lab.rs    fleets by `fastchat-admin up`, load by `fastchat-load`
//!  table.rs   medians, aims    ──> daemon/BENCHMARKS.md (whole runs only; what is written below its marker stays)
//! ```
//!
//! One row is one value of [`rows::ROWS`]. `fastchat-admin`, `fastchatd` and `fastchat-load` must stand beside each
//! other: `cargo build --release --workspace --bins`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "its figures are for people, and what it shares with tests may panic: then there are no figures"
)]

/// What starts fleets and load in the tests, too.
#[expect(dead_code, reason = "tests use the rest of it")]
#[path = "../../tests/fleet"]
mod fleet {
    pub(crate) mod generator;
    pub(crate) mod harness;
    pub(crate) mod rest;
}

mod lab;
mod machine;
mod rows;
mod table;

use anyhow::ensure;
use clap::Parser;
use lab::Lab;
use rows::{ROWS, Row};
use table::Measured;

#[derive(Debug, Parser)]
struct Args {
    /// So many runs, each with fleets of its own; shown is the median of each figure
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// A fifth of the time for each figure
    #[arg(long)]
    quick: bool,
    /// Only these rows
    #[arg(long, value_delimiter = ',', value_name = "ROW", value_parser = ROWS.iter().map(|row| row.id).collect::<Vec<_>>())]
    only: Vec<String>,
    /// Write daemon/BENCHMARKS.md also where this is not the whole of it
    #[arg(long)]
    write: bool,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(args.runs > 0, "--runs 0 measures nothing: give 1 or more");
    let wanted: Vec<&Row> = ROWS
        .iter()
        .filter(|row| args.only.is_empty() || args.only.iter().any(|id| id == row.id))
        .collect();
    let mut measured: Vec<Measured> = wanted.iter().map(|row| Measured::new(row)).collect();
    let mut failed = Vec::new();
    for run in 1..=args.runs {
        let mut lab = Lab::new(args.quick)?;
        for (row, measured) in wanted.iter().zip(&mut measured) {
            eprintln!("run {run} of {}: {}, load {}", args.runs, row.id, machine::load());
            // The others have their figures all the same.
            match (row.measure)(&mut lab) {
                Ok(figures) => measured.add(&figures)?,
                Err(error) => {
                    eprintln!("no figure: {}: {error:#}", row.id);
                    failed.push(row.id);
                }
            }
        }
    }
    print!("{}", table::text(&measured, args.runs));
    if args.write || (args.only.is_empty() && !args.quick) {
        let file = table::write(&measured, args.runs, args.quick)?;
        eprintln!("written: {}", file.display());
    } else {
        eprintln!("daemon/BENCHMARKS.md is written by whole runs, or with --write");
    }
    ensure!(failed.is_empty(), "no figure in some run of {}", failed.join(", "));
    Ok(())
}
