//! `fastchatd`: FastChat's data plane, one binary with three roles.
//!
//! ```text
//!  main ── config ──> shell (control link, probes, signals, lock file)
//!                       └─ runs one of   server │ balancer │ agent
//! ```
//!
//! A role gets a [`shell::Shell`]: the newest spec to follow, a place to report
//! what it is, and a token that says when to end. It knows nothing of where the
//! spec comes from.

mod agent;
mod atomic_file;
mod balancer;
mod bus;
mod config;
mod descriptors;
mod fleet_key;
mod limits;
mod logging;
mod metrics;
mod migrate;
mod net;
mod pause_sweep;
mod probes;
mod server;
mod shell;
mod store;
mod ticket;

use balancer::Simulation;
use clap::Parser;
use config::{BalancerArgs, BalancerJob, Cli, Command, Config, Layer};
use std::{process::ExitCode, time::Duration};

/// The options are wrong.
const USAGE: u8 = 2;
/// What still runs on threads of its own after the end is given this time.
const THREADS_END: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    fastchat_tls::install_provider();
    let cli = Cli::parse();
    if let Command::Balancer(BalancerArgs {
        job: Some(BalancerJob::Simulate(args)),
        ..
    }) = &cli.command
    {
        return match Simulation::new(args) {
            Err(error) => complain(&format!("{error:#}"), USAGE),
            Ok(simulation) => match simulation.run() {
                Err(error) => complain(&format!("{error:#}"), 1),
                Ok(()) => ExitCode::SUCCESS,
            },
        };
    }
    let environment = Layer::from_environment(std::env::var_os);
    match environment.and_then(|environment| Config::load(cli.command, environment)) {
        Err(error) => complain(&error, USAGE),
        Ok(config) => match start(config) {
            Err(error) => complain(&format!("{error:#}"), 1),
            Ok(()) => ExitCode::SUCCESS,
        },
    }
}

fn start(config: Config) -> anyhow::Result<()> {
    logging::init(config.log())?;
    descriptors::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(config));
    runtime.shutdown_timeout(THREADS_END);
    outcome
}

async fn run(config: Config) -> anyhow::Result<()> {
    match config {
        Config::Migrate(migrate) => migrate::run(&migrate).await,
        Config::PauseSweep(pause) => pause_sweep::run(&pause).await,
        Config::Server(process) => shell::run(&process, server::run).await,
        Config::Balancer(process) => shell::run(&process, balancer::run).await,
        Config::Agent(process, agent) => {
            let (log, protection) = (process.log.clone(), &process.protection);
            shell::run(&process, |shell| agent::run(shell, agent, log, protection)).await
        }
    }
}

/// One line on stderr, whatever the format of the log.
#[expect(clippy::print_stderr, reason = "the reason of a failed start is for the one who started us")]
fn complain(reason: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("fastchatd: {reason}");
    ExitCode::from(code)
}
