//! People on a fleet: the program `fastchat`, as a person or a script runs it.
//!
//! ```text
//!  fastchat ──> recording relay ──> balancer
//!      └──────> recording relay ──> s1 | s2 | s3      (the addresses that `assign` gives are the relays')
//! ```
//!
//! Nothing here looks into the program: it has arguments, an environment, two
//! streams, an exit code and a folder; what it says to the fleet is on tape.

mod capture;
mod finished;
mod impostor;
mod lawless;
mod liar;
mod person;
mod picture;
mod raw_device;
mod relay;
mod running;
mod tape;
mod unruly;
mod wire;

mod all_at_once;
mod away;
mod bad_commits;
mod bad_disk;
mod bad_entries;
mod bad_files;
mod bad_input;
mod bad_profiles;
mod bot;
mod clients_that_die;
mod conversation;
mod devices;
mod faults;
mod foreign;
mod history;
mod hostile_directory;
mod hostile_log;
mod hostile_newcomer;
mod large_files;
mod large_groups;
mod machinery;
mod members;
mod namesakes;
mod new_devices;
mod online;
mod secrecy;
mod servers_that_die;
mod settings;
mod stolen;
mod talk;
mod two_admins;
mod waiting;

use super::{
    harness::{Fleet, admin_binary, signal},
    rest::probe,
};
use person::Person;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use wire::Wire;

/// How long a person waits for anything before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A fleet of three servers with recording relays in front, and a folder for people's profiles.
struct People {
    fleet: Fleet,
    wire: Wire,
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl People {
    /// Starts the fleet and its relays.
    fn meet() -> Self {
        let fleet = Fleet::start();
        Self {
            wire: Wire::before(&fleet),
            fleet,
            folder: tempfile::tempdir().expect("a temporary folder"),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
        }
    }

    /// Somebody with a new profile, not yet registered.
    fn newcomer(&self, name: &str) -> Person {
        Person::new(name, &self.folder.path().join(name), self.wire.balancer())
    }

    /// The way to this fleet through servers that lie.
    fn lied_to(&self, lie: liar::Lie) -> Wire {
        Wire::lying(&self.fleet, lie)
    }

    /// Another device of somebody, not yet signed in.
    fn another_device_of(&self, person: &Person, device: &str) -> Person {
        Person::new(&person.name, &self.folder.path().join(device), self.wire.balancer())
    }

    /// People who have registered.
    fn registered<const N: usize>(&self, names: [&str; N]) -> [Person; N] {
        names.map(|name| {
            let person = self.newcomer(name);
            person.ok(&["register", name]);
            person
        })
    }

    /// A file outside of all profiles.
    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("a temporary file");
        path
    }

    /// Waits until so many connections are open, on the servers and in the balancer's view of them.
    fn wait_until_online(&self, expected: usize) {
        eventually(&format!("{expected} connections, as the balancer sees it"), || {
            (self.wire.open().values().sum::<usize>() == expected && self.seen_by_the_balancer() == expected).then_some(())
        });
    }

    fn seen_by_the_balancer(&self) -> usize {
        let balancer = self.fleet.line.processes.iter().find(|process| process.role == "balancer");
        let (_, page) = self.runtime.block_on(probe(&balancer.expect("a balancer").http, "/metrics"));
        let counts = page.lines().filter(|line| {
            line.starts_with("fastchat_balancer_server_connections{") || line.starts_with("fastchat_balancer_server_reserved{")
        });
        counts
            .map(|line| line.rsplit(' ').next().expect("a value").parse::<usize>().expect("a count"))
            .sum()
    }

    /// Sets the fleet's limits; gives all of them as they are now.
    fn limit(&self, document: &[u8]) -> Value {
        let (file, line) = (self.file("limits.json", document), &self.fleet.line);
        let mut command = Command::new(admin_binary());
        command
            .args(["limits", "set"])
            .arg(file)
            .args(["--json", "--url", &line.admin, "--token-file"]);
        let set = command.arg(&line.token_file).output().expect("it runs");
        assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
        serde_json::from_slice(&set.stdout).expect("a document")
    }

    /// SIGKILL to a server.
    fn kill_server(&self, name: &str) {
        let server = self.fleet.line.servers.iter().find(|server| server.name == name);
        signal(server.expect("a server of that name").pid, "KILL");
    }
}

/// Asks again and again until something is there; fails the test when it takes too long.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The sentences that a conversation warns with.
fn alarms(lines: &[Value]) -> Vec<String> {
    let all = lines.iter().filter_map(|line| line["alarms"].as_array()).flatten();
    all.map(|alarm| alarm.as_str().expect("a sentence").to_owned()).collect()
}

/// The texts among some lines, in their order.
fn texts(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["text"].as_str()).collect()
}

/// The lines of one conversation, by its name as the reader sees it.
fn of(lines: &[Value], name: &str) -> Vec<Value> {
    lines.iter().filter(|line| line["name"] == name).cloned().collect()
}

/// What a conversation's lines say, without whose they are: number, sender, and text or file.
fn said(lines: &[Value]) -> Vec<(u64, &str, &str)> {
    lines
        .iter()
        .map(|line| {
            let what = line["text"].as_str().or(line["file"]["name"].as_str());
            (
                line["seq"].as_u64().expect("a number"),
                line["from"].as_str().unwrap_or_else(|| panic!("no sender: {line}")),
                what.unwrap_or_else(|| panic!("neither text nor file: {line}")),
            )
        })
        .collect()
}

/// Bytes that nothing compresses; another `seed`, other bytes.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    });
    words.take(length.div_ceil(4)).flatten().take(length).collect()
}

/// A path as an argument.
fn text_of(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}
