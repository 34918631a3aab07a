//! What is checked and decided before anything is started, so that nothing is half started.

use super::{Args, child::Program, leftovers, ports, protection::Protection};
use crate::data::{CONTROL, DataFolder, Lock, write_secret};
use crate::desired::{Edit, Fleet, Host};
use crate::serve::{check_bus, check_listen};
use crate::store::{self, Change, ControlStore};
use crate::tokens::process_token;
use anyhow::{Context, anyhow, bail};
use fastchat_wire::Secret;
use fastchat_wire::control::Role;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// The balancer of a new fleet.
const BALANCER_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7101);
/// The agent's probes are at this distance from the control plane's port.
const AGENT_PROBE_OFFSET: u16 = 4;

/// What was checked and decided before anything was started.
pub(super) struct Prepared {
    /// The data folder.
    pub(super) data: DataFolder,
    /// This machine.
    pub(super) host: Host,
    fastchatd: PathBuf,
    database: Secret,
    agent_token: PathBuf,
    /// How connections are protected.
    pub(super) protection: Protection,
    _lock: Lock,
}

impl Prepared {
    /// Checks and decides.
    ///
    /// # Errors
    /// Something is in the way; the message says what to do.
    pub(super) async fn check(args: &Args) -> anyhow::Result<Self> {
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
        let database = data.database(args.database.as_ref().map(Secret::expose));
        let store = store::open(database.expose()).await?;
        let prepared = prepare(args, &data, store.as_ref()).await;
        store.close().await;
        let (host, agent_token, protection) = prepared?;
        Ok(Self {
            data,
            host,
            fastchatd,
            database,
            agent_token,
            protection,
            _lock: lock,
        })
    }

    /// The control plane.
    pub(super) fn control(&self, args: &Args) -> anyhow::Result<Program> {
        Ok(Program {
            what: "control plane",
            path: std::env::current_exe().context("can't find this program's own file")?,
            args: [
                "serve".into(),
                "--data".into(),
                self.data.path().into(),
                "--listen".into(),
                args.admin_listen.to_string().into(),
            ]
            .into_iter()
            .chain(self.protection.flags_of_control())
            .collect(),
            // They may hold passwords: arguments are seen by every user of the machine.
            env: vec![("FASTCHAT_DATABASE", self.database.clone()), ("FASTCHAT_BUS", args.bus.clone())],
            log: self.data.process(CONTROL)?.join("log"),
        })
    }

    /// The host agent.
    pub(super) fn agent(&self, args: &Args) -> anyhow::Result<Program> {
        Ok(Program {
            what: "agent",
            path: self.fastchatd.clone(),
            args: [
                "agent".into(),
                "--name".into(),
                self.host.name.clone().into(),
                "--control".into(),
                format!("{}://{}", self.protection.scheme(), args.admin_listen).into(),
                "--token-file".into(),
                self.agent_token.clone().into(),
                "--data".into(),
                self.data.path().into(),
                "--stop-children".into(),
            ]
            .into_iter()
            .chain(self.protection.flags_of_agent())
            .collect(),
            env: Vec::new(),
            log: self.data.process(&self.host.name)?.join("log"),
        })
    }
}

fn check_options(args: &Args) -> anyhow::Result<()> {
    check_bus(&args.bus, args.tls.allow_plaintext())?;
    if args.servers == 0 {
        bail!("--servers can't be 0: give the number of chat servers");
    }
    if let Some(strategy) = &args.strategy
        && let Err(faults) = fastchat_balancing::strategy::check(strategy, &[].into())
    {
        bail!(
            "--strategy: {}",
            faults.first().map_or("it is not known", |fault| fault.detail.as_str())
        );
    }
    // Whether it may be plain is decided with the rest of the fleet.
    check_listen(args.admin_listen, true)?;
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

/// Makes certificates, checks the ports, ends what an `up` that was killed left behind, and enrols this machine as a host.
async fn prepare(args: &Args, data: &DataFolder, store: &dyn ControlStore) -> anyhow::Result<(Host, PathBuf, Protection)> {
    let fleet = store.fleet().await?;
    let host = host(args, &fleet)?;
    let protection = Protection::prepare(args, data, &host.address)?;
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
    Ok((host, token_file, protection))
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
