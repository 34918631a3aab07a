//! Starting and ending a fleet: `fastchat-admin up`, as README says.

use super::rest::Rest;
use serde::Deserialize;
use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// The line that `up --json` prints once everything answers.
#[derive(Debug, Deserialize)]
pub(crate) struct UpLine {
    pub(crate) ready: bool,
    pub(crate) admin: String,
    pub(crate) balancer: String,
    pub(crate) token_file: PathBuf,
    pub(crate) servers: Vec<UpServer>,
    pub(crate) processes: Vec<UpProcess>,
    pub(crate) tls: Option<UpTls>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpTls {
    pub(crate) name: String,
    pub(crate) ca: PathBuf,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpServer {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) pid: u32,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpProcess {
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) http: String,
}

/// A running fleet; dropping it ends it.
pub(crate) struct Fleet {
    up: Child,
    pub(crate) line: UpLine,
    folder: tempfile::TempDir,
    pub(crate) ports: Ports,
}

/// A block of free ports: admin at 0, balancer at 1 to 3, agent at 4, servers from 10 on.
/// Whoever holds its last port has the block, also while nothing runs on it.
#[derive(Debug, Clone)]
pub(crate) struct Ports(pub(crate) u16, #[expect(dead_code, reason = "held")] Arc<TcpListener>);

const PORTS: u16 = 100;

impl Ports {
    /// Finds one. Tests run at once in processes of their own: each begins to
    /// look at another place.
    pub(crate) fn free() -> Self {
        // Below the ports that Linux gives to outgoing connections (32,768 and up).
        let blocks = 127;
        let start = std::process::id() % blocks;
        (0..blocks)
            .map(|i| 20_000 + u16::try_from((start * 37 + i) % blocks).unwrap() * PORTS)
            .find_map(|base| {
                let held = TcpListener::bind(("127.0.0.1", base + PORTS - 1)).ok()?;
                let is_free = (0..60).all(|i| TcpListener::bind(("127.0.0.1", base + i)).is_ok());
                is_free.then(|| Self(base, Arc::new(held)))
            })
            .expect("a block of free ports")
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        let at = |offset| format!("127.0.0.1:{}", self.0 + offset);
        let base = (self.0 + 10).to_string();
        ["--admin-listen", &at(0), "--balancer-listen", &at(1), "--server-port-base", &base]
            .map(str::to_owned)
            .to_vec()
    }
}

pub(crate) fn admin_binary() -> &'static str {
    env!("CARGO_BIN_EXE_fastchat-admin")
}

pub(crate) fn daemon_binary() -> PathBuf {
    binary("fastchatd")
}

/// A program of another package: it stands beside this package's own.
pub(crate) fn binary(name: &str) -> PathBuf {
    let path = Path::new(admin_binary()).with_file_name(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --workspace --bins --examples` first, with the profile of this test",
        path.display()
    );
    path
}

/// Starts `up` on a folder and waits for its line, or for its end.
pub(crate) fn try_up(data: &Path, ports: &Ports, more: &[&str]) -> Result<(Child, UpLine), Output> {
    daemon_binary();
    let mut up = Command::new(admin_binary())
        .arg("up")
        .arg("--json")
        .arg("--data")
        .arg(data)
        .args(ports.arguments())
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("fastchat-admin starts");
    let mut line = String::new();
    let stdout = up.stdout.take().expect("stdout is piped");
    BufReader::new(stdout).read_line(&mut line).expect("stdout is text");
    if line.is_empty() {
        return Err(up.wait_with_output().expect("it ended"));
    }
    // Nobody reads stderr from here on: it goes to files as well.
    let stderr = up.stderr.take().expect("stderr is piped");
    std::thread::spawn(move || std::io::copy(&mut { stderr }, &mut std::io::sink()));
    Ok((up, serde_json::from_str(&line).expect("one JSON object")))
}

impl Fleet {
    /// A fleet of three servers with `least-load`.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further flags of `up`.
    pub(crate) fn start_with(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ports = Ports::free();
        Self::start_in(folder, ports, more)
    }

    pub(crate) fn start_in(folder: tempfile::TempDir, ports: Ports, more: &[&str]) -> Self {
        match try_up(folder.path(), &ports, more) {
            Ok((up, line)) => {
                assert!(line.ready);
                Self { up, line, folder, ports }
            }
            Err(output) => panic!("up ended: {}\n{}", String::from_utf8_lossy(&output.stderr), logs(folder.path())),
        }
    }

    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn balancer(&self) -> &str {
        &self.line.balancer
    }

    /// The client address of a server.
    pub(crate) fn server(&self, name: &str) -> &str {
        &self
            .line
            .servers
            .iter()
            .find(|server| server.name == name)
            .expect("a server of that name")
            .address
    }

    pub(crate) fn rest(&self) -> Rest {
        let token = std::fs::read_to_string(&self.line.token_file).expect("the token file");
        Rest::new(&self.line.admin, token.trim())
    }

    /// SIGTERM to `up` alone; answers the folder and how long everything took to end.
    pub(crate) fn stop(mut self) -> (tempfile::TempDir, Ports, Duration) {
        let began = Instant::now();
        self.terminate();
        let took = began.elapsed();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a temporary folder"));
        (folder, self.ports.clone(), took)
    }

    fn terminate(&mut self) {
        if matches!(self.up.try_wait(), Ok(Some(_))) {
            return;
        }
        signal(self.up.id(), "TERM");
        let deadline = Instant::now() + Duration::from_secs(15);
        while Instant::now() < deadline {
            if matches!(self.up.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.up.kill();
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", logs(self.folder.path()));
        }
        self.terminate();
    }
}

/// The end of every log of a fleet, for a failed test.
pub(crate) fn logs(data: &Path) -> String {
    let mut text = String::new();
    for entry in walk(data)
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name == "log"))
    {
        let log = std::fs::read_to_string(&entry).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n");
        text.push_str(&format!("== {}\n{tail}\n", entry.display()));
    }
    text
}

/// Every file below a folder.
pub(crate) fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| {
            if entry.path().is_dir() {
                walk(&entry.path())
            } else {
                vec![entry.path()]
            }
        })
        .collect()
}

/// Sends a signal by name.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status()
        .expect("kill runs");
    assert!(status.success(), "kill -{name} {pid}");
}

/// True while there is such a process (and it is no zombie).
pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits until something holds, for at most `seconds`.
pub(crate) async fn until<T>(what: &str, seconds: u64, mut holds: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = holds().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "not within {seconds} s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
