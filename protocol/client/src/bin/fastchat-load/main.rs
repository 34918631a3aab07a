//! `fastchat-load`: drives a fleet over real sockets, measures it, and proves that it lost nothing.
//!
//! ```text
//!  args ──> stage (way in, accounts, counters, processes) ──> mode/* ──> report ──> stdout
//!                     │                                         │  pairs, group: talk/*
//!                     └── line: one connection, cheaply         │  check: check/* ──> verdict
//! ```
//!
//! It shares a machine with the servers that it measures, so it is built to cost
//! little: one thread, one task for each connection, one buffer that all of them
//! read into, headers looked at where they lie ([`glance`]), appends cast from a
//! mould ([`mould`]). Blocks are opaque to servers; ours carry what is needed to
//! know each of them again ([`stamp`]).

#[cfg(not(target_os = "linux"))]
compile_error!("fastchat-load measures through /proc and timerfd: build it on Linux, or only `--bin fastchat` here");

#[macro_use]
mod help;
mod args;
mod book;
mod check;
mod clock;
mod crowd;
mod descriptors;
mod enter;
mod fleet;
mod glance;
mod interrupt;
mod line;
mod mode;
mod mould;
mod pace;
mod processes;
mod progress;
mod report;
mod sends;
mod stage;
mod stamp;
mod talk;
mod tally;
mod trouble;
mod way;

use args::Cli;
use clap::Parser;
use report::Report;
use std::{
    io::{Write, stderr, stdout},
    process::ExitCode,
};
use tokio::{runtime, task::LocalSet};
use trouble::Trouble;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.common.json;
    match run(cli) {
        Ok(report) => {
            let text = if json {
                serde_json::to_string(&report).map(|line| line + "\n").unwrap_or_default()
            } else {
                report.text()
            };
            // Nobody misses figures that nobody reads.
            let _ = stdout().write_all(text.as_bytes());
            ExitCode::from(u8::from(!report.is_good()))
        }
        Err(trouble) => {
            let _ = writeln!(stderr(), "fastchat-load: {trouble}");
            ExitCode::from(trouble.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<Report, Trouble> {
    // One thread: whatever a second one would do faster, it would take from the servers.
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::Failed(format!("can't start: {error}")))?;
    let interrupt = cli.common.interrupt.clone();
    LocalSet::new().block_on(&runtime, interrupt.guard(mode::run(cli)))
}
