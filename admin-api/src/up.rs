//! `fastchat-admin up`: a whole fleet on one machine, from one command.
//!
//! ```text
//!  up ── checks (folder, lock, schema, ports) ──> nothing was started yet
//!   ├─ fastchat-admin serve ─┐ restarted with backoff when they die
//!   ├─ fastchatd agent ──────┤ launches b1, s1 … sN
//!   ├─ asks REST for what is missing, waits until all is ready, says so
//!   └─ SIGINT, SIGTERM: agent (and with it all instances), then serve; then whoever is left
//! ```
//!
//! Everything that lasts is in the data folder, so the next `up` continues it.

mod child;
mod fleet;
mod leftovers;
mod log_file;
mod ports;
mod prepared;
mod protection;
mod report;

use crate::cli::client::{CallError, Client};
use crate::cli::output;
use crate::serve::secret;
use crate::signals::Signals;
use anyhow::{anyhow, bail};
use child::Child;
use fastchat_wire::Secret;
use prepared::Prepared;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tokio::time::Instant;

/// Everything answers so long after the start, or the start failed.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// The agent and its instances get this long at the end (the instances' own limit is 8 s).
const AGENT_STOP_TIME_MAX: Duration = Duration::from_millis(8_700);
/// The control plane gets this long at the end.
const CONTROL_STOP_TIME_MAX: Duration = Duration::from_millis(900);
/// A signal that comes so long after the first one means: at once.
const INSISTENCE: Duration = Duration::from_secs(1);

/// Options of `up`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Folder of everything that lasts; the next `up` continues it
    #[arg(long, env = "FASTCHAT_DATA", default_value = "./fastchat-data", value_name = "DIR")]
    data: PathBuf,
    /// Chat servers; more are added, and fewer leave those that exist
    #[arg(long, default_value_t = 3, value_name = "N")]
    servers: usize,
    /// Where the control plane listens; the agent's probes are 4 above
    #[arg(long, default_value = "127.0.0.1:7100", value_name = "HOST:PORT")]
    admin_listen: SocketAddr,
    /// Where clients dial the balancer [default: 127.0.0.1:7101]; server links are 1 above, its probes 2
    #[arg(long, value_name = "HOST:PORT")]
    balancer_listen: Option<SocketAddr>,
    /// Port of the first server; the next ones are 10 apart, each with bus at 1 and probes at 2 above
    #[arg(long, default_value_t = 7110, value_name = "PORT")]
    server_port_base: u16,
    /// Balancing strategy [default: least-load, or the one in force]
    #[arg(long)]
    strategy: Option<String>,
    /// Database of the fleet, sqlite:PATH or postgres://USER@HOST/NAME [default: SQLite in the data folder];
    /// one with a password belongs into the environment
    #[arg(long, env = "FASTCHAT_DATABASE", hide_env_values = true, value_parser = secret, value_name = "URL")]
    database: Option<Secret>,
    /// How the servers reach each other: mesh, nats://HOST:PORT or tls://HOST:PORT;
    /// a URL with a password belongs into the environment
    #[arg(long, env = "FASTCHAT_BUS", hide_env_values = true, default_value = "mesh", hide_default_value = true, value_parser = secret, value_name = "URL")]
    bus: Secret,
    #[command(flatten)]
    tls: protection::TlsArgs,
    /// The data plane's binary [default: fastchatd beside this one]
    #[arg(long, env = "FASTCHAT_FASTCHATD", value_name = "PATH")]
    fastchatd: Option<PathBuf>,
    /// Print one line of JSON once everything answers
    #[arg(long)]
    json: bool,
}

/// Runs the fleet until a signal.
///
/// # Errors
/// It can't start, and nothing of it is left running; the message says what to do.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let prepared = Prepared::check(&args).await?;
    let mut control = Child::start(prepared.control(&args)?);
    let mut agent = None;
    let started = tokio::select! {
        started = start(&args, &prepared, &control, &mut agent) => Some(started),
        () = signals.next() => None,
    };
    let outcome = match started {
        Some(Ok(report)) => {
            if report.servers() > args.servers {
                let (there, wanted) = (report.servers(), args.servers);
                output::error_line(&format!(
                    "This folder has {there} servers, more than the {wanted} asked for; they stay (fastchat-admin servers remove NAME)."
                ));
            }
            report.print(args.json);
            signals.next().await;
            if !args.json {
                output::error_line("Ending everything ...");
            }
            Ok(())
        }
        Some(Err(error)) => Err(error),
        // Asked to end before all was there.
        None => Ok(()),
    };
    let stop = async {
        if let Some(agent) = &mut agent {
            agent.stop(AGENT_STOP_TIME_MAX).await;
        }
        leftovers::end_instances(&prepared.data).await;
        control.stop(CONTROL_STOP_TIME_MAX).await;
    };
    tokio::select! {
        () = stop => {}
        () = asked_again(&mut signals) => {}
    }
    drop((agent, control));
    leftovers::end_instances(&prepared.data).await;
    outcome
}

/// Waits until somebody insists. Shells and supervisors often send a signal twice; that is one wish.
async fn asked_again(signals: &mut Signals) {
    let first = Instant::now();
    loop {
        signals.next().await;
        if first.elapsed() > INSISTENCE {
            return;
        }
    }
}

/// Starts the agent once the control plane answers, and waits until the fleet does.
async fn start(args: &Args, prepared: &Prepared, control: &Child, agent: &mut Option<Child>) -> anyhow::Result<report::Report> {
    let deadline = Instant::now() + START_TIME_MAX;
    let all = async {
        let client = reach(prepared, &format!("{}://{}", prepared.protection.scheme(), args.admin_listen)).await?;
        let agent = &*agent.insert(Child::start(prepared.agent(args)?));
        let wanted = fleet::Wanted {
            servers: args.servers,
            strategy: args.strategy.as_deref(),
        };
        let pids = [
            ("control", "control", control.pid()),
            ("agent", prepared.host.name.as_str(), agent.pid()),
        ];
        tokio::select! {
            ready = fleet::bring_up(&client, &wanted) => Ok(report::Report::gather(&client, prepared, args.admin_listen, &pids, ready?).await?),
            why = agent.ended() => Err(anyhow!("the agent ended: {why}")),
        }
    };
    tokio::select! {
        report = tokio::time::timeout_at(deadline, all) => match report {
            Ok(report) => report,
            Err(_) => bail!("the fleet did not answer within {} s; the logs in {} say why", START_TIME_MAX.as_secs(), prepared.data.processes().display()),
        },
        why = control.ended() => Err(anyhow!("the control plane ended: {why}")),
    }
}

/// Waits until the control plane answers.
async fn reach(prepared: &Prepared, url: &str) -> anyhow::Result<Client> {
    loop {
        if let Some(token) = crate::data::read_token(&prepared.data.admin_token())? {
            let client = Client::new(url, token, &prepared.protection.trust())?;
            match client.get::<serde_json::Value>("/v1/hosts").await {
                Ok(_) => return Ok(client),
                Err(CallError::CantConnect { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
