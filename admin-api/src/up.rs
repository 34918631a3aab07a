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
mod report;

use crate::cli::client::{CallError, Client};
use crate::cli::output;
use crate::data::{DataFolder, Lock, write_secret};
use crate::desired::Edit;
use crate::desired::{Fleet, Host};
use crate::serve::check_listen;
use crate::signals::Signals;
use crate::store::{Change, ControlStore, SqliteStore};
use crate::tokens::process_token;
use anyhow::{Context, anyhow, bail};
use child::{Child, Program};
use fastchat_wire::control::Role;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::Instant;

/// Everything answers so long after the start, or the start failed.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// The agent and its instances get this long at the end (the instances' own limit is 8 s).
const AGENT_STOP_TIME_MAX: Duration = Duration::from_millis(8_700);
/// The control plane gets this long at the end.
const CONTROL_STOP_TIME_MAX: Duration = Duration::from_millis(900);
/// A signal that comes so long after the first one means: at once.
const INSISTENCE: Duration = Duration::from_secs(1);
/// The balancer of a new fleet.
const BALANCER_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7101);
/// The agent's probes are at this distance from the control plane's port.
const AGENT_PROBE_OFFSET: u16 = 4;

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
    /// Database of the fleet [default: SQLite in the data folder]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// How the servers reach each other
    #[arg(long, default_value = "mesh", value_name = "URL")]
    bus: String,
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
    let plan = Plan::check(&args).await?;
    let mut control = Child::start(plan.control(&args)?);
    let mut agent = None;
    let started = tokio::select! {
        started = start(&args, &plan, &control, &mut agent) => Some(started),
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
        leftovers::end_instances(&plan.data).await;
        control.stop(CONTROL_STOP_TIME_MAX).await;
    };
    tokio::select! {
        () = stop => {}
        () = asked_again(&mut signals) => {}
    }
    drop((agent, control));
    leftovers::end_instances(&plan.data).await;
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
async fn start(args: &Args, plan: &Plan, control: &Child, agent: &mut Option<Child>) -> anyhow::Result<report::Report> {
    let deadline = Instant::now() + START_TIME_MAX;
    let all = async {
        let client = reach(&plan.data, &format!("http://{}", args.admin_listen)).await?;
        let agent = &*agent.insert(Child::start(plan.agent(args)?));
        let wanted = fleet::Wanted {
            servers: args.servers,
            strategy: args.strategy.as_deref(),
        };
        let pids = [
            ("control", "control", control.pid()),
            ("agent", plan.host.name.as_str(), agent.pid()),
        ];
        tokio::select! {
            ready = fleet::bring_up(&client, &wanted) => Ok(report::Report::gather(&client, &plan.data, args.admin_listen, &pids, ready?).await?),
            why = agent.ended() => Err(anyhow!("the agent ended: {why}")),
        }
    };
    tokio::select! {
        report = tokio::time::timeout_at(deadline, all) => match report {
            Ok(report) => report,
            Err(_) => bail!("the fleet did not answer within {} s; the logs in {} say why", START_TIME_MAX.as_secs(), plan.data.processes().display()),
        },
        why = control.ended() => Err(anyhow!("the control plane ended: {why}")),
    }
}

/// Waits until the control plane answers.
async fn reach(data: &DataFolder, url: &str) -> anyhow::Result<Client> {
    loop {
        if let Some(token) = crate::data::read_token(&data.admin_token())? {
            let client = Client::new(url, token)?;
            match client.get::<serde_json::Value>("/v1/hosts").await {
                Ok(_) => return Ok(client),
                Err(CallError::CantConnect { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What was checked and decided before anything was started.
struct Plan {
    data: DataFolder,
    host: Host,
    fastchatd: PathBuf,
    database: String,
    agent_token: PathBuf,
    _lock: Lock,
}

impl Plan {
    async fn check(args: &Args) -> anyhow::Result<Self> {
        check_options(args)?;
        let fastchatd = find_fastchatd(args.fastchatd.as_deref())?;
        let data = DataFolder::open(&args.data)?;
        let lock = Lock::take(&data.path().join("up.lock"))?.map_err(|pid| {
            let pid = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
            anyhow!(
                "`up` runs on {} already{pid}; end that one first, or give another --data",
                data.path().display()
            )
        })?;
        let database = data.database(args.database.as_deref());
        let store = SqliteStore::open(&database).await?;
        let prepared = prepare(args, &data, &store).await;
        store.close().await;
        let (host, agent_token) = prepared?;
        Ok(Self {
            data,
            host,
            fastchatd,
            database,
            agent_token,
            _lock: lock,
        })
    }

    fn control(&self, args: &Args) -> anyhow::Result<Program> {
        Ok(Program {
            what: "control plane",
            path: std::env::current_exe().context("can't find this program's own file")?,
            args: vec![
                "serve".into(),
                "--data".into(),
                self.data.path().into(),
                "--listen".into(),
                args.admin_listen.to_string().into(),
                "--database".into(),
                self.database.clone().into(),
            ],
            log: self.data.process(crate::data::CONTROL)?.join("log"),
        })
    }

    fn agent(&self, args: &Args) -> anyhow::Result<Program> {
        Ok(Program {
            what: "agent",
            path: self.fastchatd.clone(),
            args: vec![
                "agent".into(),
                "--name".into(),
                self.host.name.clone().into(),
                "--control".into(),
                format!("http://{}", args.admin_listen).into(),
                "--token-file".into(),
                self.agent_token.clone().into(),
                "--data".into(),
                self.data.path().into(),
                "--stop-children".into(),
            ],
            log: self.data.process(&self.host.name)?.join("log"),
        })
    }
}

fn check_options(args: &Args) -> anyhow::Result<()> {
    if args.bus != "mesh" {
        bail!(
            "--bus can't be {:?}: this version has the mesh only; leave the option away",
            args.bus
        );
    }
    if args.servers == 0 {
        bail!("--servers can't be 0: give the number of chat servers");
    }
    if let Some(strategy) = &args.strategy
        && let Err(faults) = fastchat_wire::control::strategies::check(strategy, &[].into())
    {
        bail!(
            "--strategy: {}",
            faults.first().map_or("it is not known", |fault| fault.detail.as_str())
        );
    }
    check_listen(args.admin_listen, false)?;
    match args.balancer_listen {
        Some(listen) if listen.ip().is_unspecified() => {
            bail!("--balancer-listen: clients can't dial {listen}; give the address of this machine that they reach")
        }
        _ => Ok(()),
    }
}

fn find_fastchatd(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = match given {
        Some(path) => std::path::absolute(path)?,
        None => std::env::current_exe()
            .context("can't find this program's own file")?
            .with_file_name("fastchatd"),
    };
    if path.is_file() {
        Ok(path)
    } else {
        bail!("there is no {}; build fastchatd, or give its path by --fastchatd", path.display())
    }
}

/// Checks the ports, ends what an `up` that was killed left behind, and enrols this machine as a host.
async fn prepare(args: &Args, data: &DataFolder, store: &SqliteStore) -> anyhow::Result<(Host, PathBuf)> {
    let fleet = store.fleet().await?;
    let host = host(args, &fleet)?;
    let needed = ports::needed(&fleet, &host, args.admin_listen, args.servers)?;
    leftovers::end_supervisors(data, &host.name).await?;
    ports::check_free(&needed, data)?;
    if fleet.host(&host.name) != Some(&host) {
        let change = Change {
            based_on: fleet.generation,
            edits: vec![Edit::PutHost(host.clone())],
            ..Change::default()
        };
        store.commit(change).await?;
    }
    let token_file = data.process(&host.name)?.join("token");
    write_secret(&token_file, &process_token(&fleet.cluster.fleet_key, Role::Agent, &host.name))?;
    Ok((host, token_file))
}

/// This machine: as it stands in the folder, with what the options say about new processes.
fn host(args: &Args, fleet: &Fleet) -> anyhow::Result<Host> {
    let known = fleet.hosts.first();
    let first_balancer = fleet.of_role(Role::Balancer).next();
    if let (Some(wanted), Some(balancer)) = (args.balancer_listen, first_balancer)
        && balancer.listen != wanted.to_string()
    {
        bail!(
            "the balancer of this folder listens on {}; leave --balancer-listen away, or give another --data",
            balancer.listen
        );
    }
    let balancer = match (args.balancer_listen, known) {
        (Some(listen), _) => listen,
        (None, Some(host)) => SocketAddr::new(host.address.parse()?, host.balancer_port),
        (None, None) => BALANCER_DEFAULT,
    };
    let internal = if balancer.is_ipv4() {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        IpAddr::V6(Ipv6Addr::LOCALHOST)
    };
    let probe_port = args.admin_listen.port().checked_add(AGENT_PROBE_OFFSET);
    Ok(Host {
        name: known.map_or_else(host_name, |host| host.name.clone()),
        address: balancer.ip().to_string(),
        internal_address: internal.to_string(),
        probe_port: probe_port
            .ok_or_else(|| anyhow!("--admin-listen: the agent's probes are {AGENT_PROBE_OFFSET} above, so give a lower port"))?,
        balancer_port: balancer.port(),
        server_port_base: args.server_port_base,
    })
}

/// This machine's name, as far as it can be the name of a folder and of a process.
fn host_name() -> String {
    let uname = rustix::system::uname();
    let name: String = uname
        .nodename()
        .to_string_lossy()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .take(40)
        .collect();
    let name = name.trim_start_matches(['-', '_']);
    // `s1` is a server's name.
    if name.is_empty() {
        "host-local".to_owned()
    } else {
        format!("host-{name}")
    }
}
