//! What people feel of FastChat: signing in, the way of a message, a pipe full of messages, bytes, memory, a picture, a
//! history that comes back, groups of hundreds.
//!
//! A real fleet of three servers runs in a temporary folder, started as README says, and people are on different ones
//! of them. The sender is the library in this process, or the program `fastchat` where that is said; the receiver is
//! `fastchat listen` where it says "shown", else the library.
//!
//! ```text
//!  make bench                                                               three runs, the median of each figure
//!  cargo bench --package fastchat-client --bench people -- --runs 1 --quick     a tenth of everything, to look at it
//! ```
//!
//! `fastchat-admin`, `fastchatd` and `fastchat` must stand beside each other: `cargo build --release --workspace --bins`.
//! `protocol/client/BENCHMARKS.md` has figures of one machine, and what they mean.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the figures are what it is for, and its progress is for who waits"
)]

mod bytes;
mod figures;
mod fleet;
mod guests;
mod latency;
mod memory;
mod person;
mod picture;
mod process;
mod program;
mod relay;
mod restore;
mod sign_in;
mod size;
mod throughput;

use clap::{Parser, ValueEnum};
use figures::Figures;
use fleet::Fleet;

/// Bytes of each text.
const TEXT_BYTES: usize = 200;

#[derive(Debug, Parser)]
struct Args {
    /// So many runs, each with a fleet of its own; shown is the median of each figure
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// A tenth of everything
    #[arg(long)]
    quick: bool,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part that can be run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    SignIn,
    Latency,
    Program,
    Throughput,
    Lines,
    Bytes,
    Memory,
    Picture,
    Restore,
    Size,
}

/// What a part is given.
struct Run<'a> {
    fleet: &'a Fleet,
    /// Everybody's folders.
    folder: &'a std::path::Path,
    /// What counts are divided by.
    divisor: usize,
    figures: Figures,
}

impl Run<'_> {
    /// How often something is done.
    fn count(&self, count: usize) -> usize {
        (count / self.divisor).max(1)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut runs = Vec::new();
    for n in 1..=args.runs {
        runs.push(run(&args, n).await?);
    }
    let median = Figures::median(&runs);
    if args.json {
        println!("{}", median.json(args.runs));
    } else {
        print!("{}", median.table(args.runs));
    }
    Ok(())
}

async fn run(args: &Args, n: usize) -> anyhow::Result<Figures> {
    let fleet = Fleet::start()?;
    let folder = tempfile::tempdir()?;
    let mut run = Run {
        fleet: &fleet,
        folder: folder.path(),
        divisor: if args.quick { 10 } else { 1 },
        figures: Figures::default(),
    };
    for part in Part::value_variants() {
        if !args.only.is_empty() && !args.only.contains(part) {
            continue;
        }
        eprintln!("run {n} of {}: {part:?}, load {}", args.runs, figures::load());
        match part {
            Part::SignIn => sign_in::measure(&mut run).await?,
            Part::Latency => latency::measure(&mut run).await?,
            Part::Program => program::measure(&mut run).await?,
            Part::Throughput => throughput::library(&mut run).await?,
            Part::Lines => throughput::lines(&mut run).await?,
            Part::Bytes => bytes::measure(&mut run).await?,
            Part::Memory => memory::measure(&mut run).await?,
            Part::Picture => picture::measure(&mut run).await?,
            Part::Restore => restore::measure(&mut run).await?,
            Part::Size => size::measure(&mut run).await?,
        }
    }
    Ok(run.figures)
}
