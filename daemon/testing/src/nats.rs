//! A NATS server on the loopback, on a port that stays its own while it is away.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// What to do where it is missing.
const MISSING: &str = "these tests need a NATS server: run .ci/install, or `apt-get install --no-install-recommends nats-server`";

/// Longest wait for a start or an end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Below what Linux gives to outgoing connections, so that nobody else takes the port of a server that is away.
const PORTS: std::ops::Range<u16> = 16_000..20_000;

/// A NATS server; dropping it ends it.
#[derive(Debug)]
pub struct NatsServer {
    port: u16,
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts one that lets everybody in.
    ///
    /// # Panics
    /// There is none to start, or it does not answer.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts one with more in its configuration file, as the manual of NATS has it:
    /// `authorization { user: a, password: b }`, `tls { … }`, `max_payload: 65536`.
    ///
    /// # Panics
    /// There is none to start, or it does not answer.
    #[must_use]
    pub fn start_with(configuration: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("fastchat-nats-").tempdir().expect("a folder");
        // Tests run at once, in processes of their own: each begins to look at another place.
        let ports = usize::from(PORTS.end - PORTS.start);
        let begin = (std::process::id() as usize).wrapping_mul(31) % ports;
        for port in PORTS.cycle().skip(begin).take(ports) {
            // Who is faster has it; the other one's server does not start, and looks further.
            if TcpListener::bind(("127.0.0.1", port)).is_err() {
                continue;
            }
            let text = format!("host: \"127.0.0.1\"\nport: {port}\n{configuration}\n");
            std::fs::write(folder.path().join("nats.conf"), text).expect("its configuration");
            if let Ok(child) = run(folder.path(), port) {
                return Self {
                    port,
                    folder,
                    child: Some(child),
                };
            }
            let log = log_of(folder.path());
            assert!(log.contains("address already in use"), "nats-server does not start:\n{log}");
        }
        panic!("no free port for a NATS server");
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Its URL, for `--bus`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Its URL over TLS, with parameters: `ca=/FILE`.
    #[must_use]
    pub fn url_by_tls(&self, parameters: &str) -> String {
        format!("tls://{}?{parameters}", self.address())
    }

    /// Its URL with `USER:PASSWORD` or `TOKEN`.
    #[must_use]
    pub fn url_with(&self, credentials: &str) -> String {
        format!("nats://{credentials}@{}", self.address())
    }

    /// Its process.
    ///
    /// # Panics
    /// It is away.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// True from its start to its `stop` or `kill`.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Ends it softly: its clients are told. Nothing where it is away.
    ///
    /// # Panics
    /// It does not end.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Ends it hard, as a crash does. Nothing where it is away.
    ///
    /// # Panics
    /// It does not end.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Starts it again after `stop` or `kill`, on the same port; returns when it answers.
    /// One that still runs is killed first.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&mut self) {
        self.kill();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match run(self.folder.path(), self.port) {
                Ok(child) => {
                    self.child = Some(child);
                    return;
                }
                Err(why) => assert!(Instant::now() < deadline, "{why}:\n{}", log_of(self.folder.path())),
            }
        }
    }

    fn end(&mut self, signal: Signal) {
        let Some(mut child) = self.child.take() else { return };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("a process of ours");
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().expect("a process of ours").is_none() {
            assert!(Instant::now() < deadline, "nats-server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts it and waits until it greets.
fn run(folder: &Path, port: u16) -> Result<Child, String> {
    let log = File::create(folder.join("log")).expect("its log");
    let mut child = Command::new(program())
        .arg("--config")
        .arg(folder.join("nats.conf"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("its log"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("can't run nats-server: {error}; {MISSING}"));
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("a process of ours") {
            return Err(format!("nats-server ended at once ({status})"));
        }
        // It greets first; whoever else has the port may not.
        if greets(port) && log_of(folder).contains("Server is ready") {
            return Ok(child);
        }
        assert!(Instant::now() < deadline, "nats-server does not answer:\n{}", log_of(folder));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn greets(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    let mut line = String::new();
    let read = BufReader::new(stream.take(64 << 10)).read_line(&mut line);
    read.is_ok() && line.starts_with("INFO ")
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// Where it is: on the path, or where packages and `.ci/install` put it.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/local/bin", "/usr/sbin", "/usr/bin"].map(PathBuf::from));
    if let Some(home) = std::env::var_os("HOME") {
        folders.push(PathBuf::from(home).join(".local/bin"));
    }
    let mut found = folders.into_iter().map(|folder| folder.join("nats-server"));
    found
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("no nats-server: {MISSING}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_was_ended_comes_back_on_its_port() {
        let mut server = NatsServer::start();
        let port = server.port;
        assert!(greets(port) && server.runs());
        server.stop();
        assert!(!greets(port) && !server.runs());
        server.restart();
        assert!(greets(port));
        server.kill();
        assert!(!greets(port));
        server.restart();
        assert!(greets(server.address().port()) && server.url().ends_with(&port.to_string()));
    }

    #[test]
    fn two_servers_have_two_ports() {
        let (one, other) = (NatsServer::start(), NatsServer::start());
        assert_ne!(one.port, other.port);
    }
}
