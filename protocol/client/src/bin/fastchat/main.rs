//! `fastchat`: FastChat for people, in a terminal and in scripts.
//!
//! ```text
//!  args ──> context (profile, balancer) ──> command/* ──> stdout: results (terminal/human, terminal/json)
//!                                             │      └──> stderr: notes, progress, errors
//!                                             └─ online (a Messenger, watched) where a command needs the fleet
//! ```
//!
//! What scripts rely on: stdout has results only, with `--json` one object a
//! line; the process ends with 0 done, 1 refused, 2 wrong usage, 3 can't
//! connect, 4 `listen --for` over before `--count`; what others wrote can't
//! steer a terminal ([`terminal::safe`]).

#[macro_use]
mod help;
mod args;
mod command;
mod context;
mod logging;
mod online;
mod rooms;
mod stop;
mod terminal;
mod waiting;

use args::Cli;
use clap::{CommandFactory, Parser};
use context::Context;
use std::{io::Write, process::ExitCode, time::Duration};
use stop::Stop;
use terminal::screen::Screen;
use tokio::runtime;

/// The messenger's two tasks; commands run on the main thread.
const WORKERS: usize = 2;
/// How long what is left of them may take to end.
const SHUTDOWN: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    if std::env::args_os().len() <= 1 {
        let help = Cli::command().render_help();
        // Help that nobody reads is no error.
        let _ = write!(anstream::stderr(), "{}", help.ansi());
        return ExitCode::from(2);
    }
    let cli = Cli::parse();
    let screen = Screen::new(cli.global.json, cli.global.color);
    match run(cli, &screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            screen.stop(&stop);
            ExitCode::from(stop.exit_code())
        }
    }
}

fn run(cli: Cli, screen: &Screen) -> Result<(), Stop> {
    logging::init(cli.global.verbose)?;
    let context = Context::new(cli.global, screen)?;
    let runtime = runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    let runtime = runtime.map_err(|error| Stop::system("can't start threads", &error))?;
    let work = command::run(&context, cli.command);
    let outcome = runtime.block_on(waiting::told(screen, context.waits(), work));
    // Tasks let go of the profile, so that its store is closed in good order. A thread that still waits for stdin is
    // not worth waiting for.
    runtime.shutdown_timeout(SHUTDOWN);
    outcome
}
