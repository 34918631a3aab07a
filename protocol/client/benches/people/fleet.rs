//! A fleet of three servers: `fastchat-admin up` in a temporary folder.

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The line that `up --json` prints once everything answers.
#[derive(Debug, Deserialize)]
struct Line {
    balancer: String,
    servers: Vec<Server>,
    processes: Vec<Process>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) pid: u32,
}

#[derive(Debug, Deserialize)]
struct Process {
    role: String,
    name: String,
    http: String,
}

/// A running fleet; dropping it ends it.
pub(crate) struct Fleet {
    up: Child,
    line: Line,
    folder: tempfile::TempDir,
}

/// Admin at 0, balancer at 1 to 3, agent at 4, servers from 10 on.
const PORTS: u16 = 60;

impl Fleet {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_ports().context("there are no free ports from 20,000 on")?;
        let at = |offset| format!("127.0.0.1:{}", port + offset);
        let mut up = Command::new(program("fastchat-admin")?)
            .args(["up", "--json", "--admin-listen", &at(0), "--balancer-listen", &at(1)])
            .args(["--server-port-base", &(port + 10).to_string(), "--data"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let stdout = up.stdout.take().context("its output is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let line: Line = serde_json::from_str(&line).context("the fleet did not start: run `fastchat-admin up` to see why")?;
        ensure!(line.servers.len() == 3, "a fleet has three servers");
        Ok(Self { up, line, folder })
    }

    pub(crate) fn balancer(&self) -> &str {
        &self.line.balancer
    }

    pub(crate) fn servers(&self) -> &[Server] {
        &self.line.servers
    }

    /// The database of all servers.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("fastchat.db")
    }

    /// A counter or gauge without labels, of each server.
    pub(crate) fn metric(&self, metric: &str) -> anyhow::Result<BTreeMap<String, u64>> {
        let servers = self.line.processes.iter().filter(|process| process.role == "server");
        servers
            .map(|server| {
                let page = get(&server.http, "/metrics")?;
                let line = page.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
                let value = line.with_context(|| format!("{} has no {metric}", server.name))?;
                Ok((server.name.clone(), value.parse()?))
            })
            .collect()
    }

    /// The server that somebody is on, where nobody else is online.
    pub(crate) fn only_one_in_use(&self) -> anyhow::Result<String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let connections = self.metric("fastchat_server_connections")?;
            let mut used = connections.iter().filter(|(_, count)| **count > 0);
            if let (Some((name, 1)), None) = (used.next(), used.next()) {
                return Ok(name.clone());
            }
            ensure!(Instant::now() < deadline, "one connection was expected, there are {connections:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.up.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(15);
        while Instant::now() < deadline {
            if !matches!(self.up.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.up.kill();
    }
}

/// A program of this workspace.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(env!("CARGO_BIN_EXE_fastchat")).with_file_name(name);
    if !path.exists() {
        bail!(
            "{} is missing: run `cargo build --release --workspace --bins` first",
            path.display()
        );
    }
    Ok(path)
}

fn free_ports() -> Option<u16> {
    // Below the ports that Linux gives to outgoing connections.
    (20_000..32_000)
        .step_by(100)
        .find(|base| (0..PORTS).all(|offset| TcpListener::bind(("127.0.0.1", base + offset)).is_ok()))
}

/// A page of a process's probes.
fn get(address: &str, path: &str) -> anyhow::Result<String> {
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}
