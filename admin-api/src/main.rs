//! `fastchat-admin`: FastChat's control plane, its command line, and `up` for one machine.
//!
//! ```text
//!  serve   REST ─┐                      ┌─ spec (long poll) ──> agents, balancers, servers
//!                ├─ desired state (db) ─┤
//!          plan ─┘   observed (memory) <┴─ status (post)
//!  up      supervises `serve` and `fastchatd agent`; the agent launches the rest
//!  others  call REST
//! ```
//!
//! What should be stands in the database ([`desired`]), what is in memory
//! ([`observed`]). [`specs`], [`look`], [`plan`], [`rebalance`], [`trial`] and [`view`] are pure
//! functions of the two; [`routes`] and [`reconciler`] are the only ones that change anything.

mod app;
mod audit;
mod auth;
mod certificates;
mod cli;
mod clock;
mod data;
mod denials;
mod desired;
mod edge;
mod extract;
mod https;
mod idempotency;
mod logging;
mod look;
mod metrics;
mod observed;
mod operation;
mod pages;
mod plan;
mod problem;
mod rebalance;
mod reconciler;
mod routes;
mod serve;
mod signals;
mod specs;
mod store;
#[cfg(test)]
mod testing;
mod tokens;
mod trial;
mod up;
mod view;

use clap::Parser;
use cli::{Cli, Command, client::CallError, output};
use std::process::ExitCode;

fn main() -> ExitCode {
    fastchat_tls::install_provider();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error_line(&format!("fastchat-admin: can't start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error_line(&format!("fastchat-admin: {error:#}"));
            let code = error.downcast_ref::<CallError>().map_or(1, CallError::exit_code);
            ExitCode::from(code)
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(args) => {
            logging::init("warn")?;
            up::run(args).await
        }
        Command::Serve(args) => {
            logging::init("info")?;
            serve::run(args).await
        }
        Command::Certificates(verb) => cli::certificates::run(verb),
        command => Ok(cli::call(command).await?),
    }
}
