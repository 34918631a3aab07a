//! Instances as child processes.
//!
//! A child has a process group of its own, so that a Ctrl-C at the agent's
//! terminal isn't the child's, and it lives on when the agent dies. The next
//! agent finds it by its lock file: while the lock is held, the pid in it is that
//! of a living process, and a pidfd opened meanwhile means that process whatever
//! becomes of the number.

use super::{
    Launcher, Stop,
    holder::{Holder, holder},
    log_file::{self, LOG_BYTES_MAX},
};
use crate::{
    agent::reconcile::Seen,
    atomic_file,
    config::{Log, state_folder},
};
use async_trait::async_trait;
use fastchat_wire::control::InstanceSpec;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    task::JoinSet,
};

/// How often the lock of a process is looked at whose end can't be awaited.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A process that runs, or ran when last looked at.
#[derive(Debug)]
struct Live {
    pid: Option<u32>,
    handle: Option<Arc<AsyncFd<OwnedFd>>>,
    /// `None` where it was adopted.
    child: Option<Child>,
}

/// Starts `fastchatd server` and `fastchatd balancer` as children.
#[derive(Debug)]
pub(crate) struct ProcessLauncher {
    program: PathBuf,
    data: PathBuf,
    log: Log,
    /// What all instances are told of TLS.
    protection: Vec<OsString>,
    live: BTreeMap<String, Live>,
    exits: BTreeMap<String, String>,
    /// One task for each process that has a handle, which ends with it.
    watches: JoinSet<()>,
    /// Some process has no handle: its lock has to be looked at.
    blind: bool,
    end_with_agent: bool,
}

impl ProcessLauncher {
    /// Starts `program` for instances whose folders are below `data`; `protection` are the flags that each is given.
    pub(crate) fn new(program: PathBuf, data: PathBuf, log: Log, protection: Vec<OsString>) -> Self {
        Self {
            program,
            data,
            log,
            protection,
            live: BTreeMap::new(),
            exits: BTreeMap::new(),
            watches: JoinSet::new(),
            blind: false,
            end_with_agent: false,
        }
    }

    fn state(&self, name: &str) -> PathBuf {
        state_folder(&self.data, name)
    }

    fn spawn(&self, instance: &InstanceSpec) -> io::Result<Child> {
        let state = self.state(&instance.name);
        atomic_file::create_folder(&state)?;
        let token_file = state.join("token");
        atomic_file::write(&token_file, instance.token.expose().as_bytes())?;
        let log = log_file::open_new(&state)?;
        let mut command = Command::new(&self.program);
        command
            .arg(instance.role.to_string())
            .args(["--name", &instance.name, "--control", &instance.control])
            .arg("--token-file")
            .arg(&token_file)
            .arg("--state")
            .arg(&state)
            .args(&self.protection)
            .args(["--log-format", self.log.format.as_str(), "--log-level", &self.log.level])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        // What the agent was told by its environment, or by systemd, isn't for its children.
        for (key, _) in std::env::vars_os() {
            let ours = key.to_str().is_some_and(|key| key.starts_with("FASTCHAT_"));
            if ours
                || [
                    "NOTIFY_SOCKET",
                    "WATCHDOG_USEC",
                    "WATCHDOG_PID",
                    "LISTEN_FDS",
                    "LISTEN_PID",
                    "LISTEN_FDNAMES",
                ]
                .iter()
                .any(|k| key == *k)
            {
                command.env_remove(key);
            }
        }
        command.spawn()
    }

    /// Remembers a process and awaits its end.
    fn follow(&mut self, name: &str, pid: Option<u32>, child: Option<Child>) {
        let handle = pid.and_then(|pid| {
            open(pid)
                .inspect_err(|error| tracing::warn!(name, pid, %error, "no pidfd for the process"))
                .ok()
        });
        if let Some(handle) = handle.clone() {
            self.watches.spawn(async move {
                // Readable or broken: either way it is time to look.
                let _ = handle.readable().await;
            });
        }
        self.live.insert(name.to_owned(), Live { pid, handle, child });
    }

    /// Looks at one of our own children; reaps it if it has ended.
    fn look_at_child(&mut self, name: &str) -> Option<u32> {
        let live = self.live.get_mut(name)?;
        let status = match live.child.as_mut()?.try_wait() {
            Ok(None) => return live.pid,
            Ok(Some(status)) => status.to_string(),
            Err(error) => format!("ended ({error})"),
        };
        self.live.remove(name);
        self.ended(name, status);
        None
    }

    /// Looks at the lock of an instance, and adopts the process that holds it.
    fn look_at_lock(&mut self, name: &str) -> Seen {
        let state = self.state(name);
        match holder(&state) {
            Ok(Holder::Nobody) => {
                if self.live.remove(name).is_some() {
                    self.ended(name, "ended; it was adopted, so its exit status is unknown".into());
                }
                Seen::Absent {
                    exit: self.exits.get(name).cloned(),
                }
            }
            Ok(Holder::Somebody(pid)) => {
                let known = self.live.get(name);
                if known.is_none_or(|live| live.pid != pid || live.handle.is_none()) {
                    if known.is_none() {
                        tracing::info!(name, pid, "adopting a running instance");
                    }
                    self.follow(name, pid, None);
                    // Only if the lock is still held by that pid is the pidfd surely the holder's.
                    if !holder(&state).is_ok_and(|now| now == Holder::Somebody(pid)) {
                        self.follow(name, None, None);
                    }
                }
                Seen::Running {
                    pid: self.live.get(name).and_then(|live| live.pid),
                }
            }
            Err(error) => {
                // Not to know is not to start a second one.
                tracing::error!(name, %error, "can't look at the lock file; make it readable for the agent");
                self.follow(name, None, None);
                Seen::Running { pid: None }
            }
        }
    }

    fn ended(&mut self, name: &str, status: String) {
        let exit = match log_file::last_line(&self.state(name)) {
            Some(line) if !status.ends_with(": 0") => format!("{status}; last line of its log: {line}"),
            _ => status,
        };
        tracing::info!(name, exit, "an instance has ended");
        self.exits.insert(name.to_owned(), exit);
    }
}

/// A handle of a process that stays the same process.
fn open(pid: u32) -> io::Result<Arc<AsyncFd<OwnedFd>>> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    #[expect(
        deprecated,
        reason = "the replacement is unsafe for types that may change their descriptor; OwnedFd never does"
    )]
    let handle = AsyncFd::with_interest(pidfd, Interest::READABLE)?;
    Ok(Arc::new(handle))
}

#[async_trait]
impl Launcher for ProcessLauncher {
    async fn start(&mut self, instance: &InstanceSpec) -> io::Result<()> {
        let name = &instance.name;
        match self.spawn(instance) {
            Ok(child) => {
                tracing::info!(name, role = %instance.role, pid = child.id(), "started");
                self.exits.remove(name);
                self.follow(name, Some(child.id()), Some(child));
                Ok(())
            }
            Err(error) => {
                let program = self.program.display();
                self.exits.insert(name.clone(), format!("can't start {program}: {error}"));
                Err(error)
            }
        }
    }

    async fn stop(&mut self, name: &str, how: Stop) -> io::Result<()> {
        let Some(live) = self.live.get(name) else {
            return Ok(());
        };
        let handle = live
            .handle
            .as_ref()
            .ok_or_else(|| io::Error::other("its process id is not known"))?;
        signal(handle, how)
    }

    async fn observe(&mut self, names: &BTreeSet<String>) -> BTreeMap<String, Seen> {
        let mut world = BTreeMap::new();
        for name in names {
            let seen = match self.look_at_child(name) {
                Some(pid) => Seen::Running { pid: Some(pid) },
                None => self.look_at_lock(name),
            };
            world.insert(name.clone(), seen);
        }
        self.blind = self.live.values().any(|live| live.handle.is_none());
        world
    }

    async fn changed(&mut self) {
        tokio::select! {
            Some(_) = self.watches.join_next() => {}
            () = tokio::time::sleep(LOOK_AGAIN), if self.blind => {}
            else => std::future::pending::<()>().await,
        }
    }

    async fn tidy(&mut self) {
        for name in self.live.keys() {
            if let Err(error) = log_file::bound(&self.state(name), LOG_BYTES_MAX) {
                tracing::warn!(name, %error, "can't rotate the log");
            }
        }
    }

    fn end_with_agent(&mut self) {
        self.end_with_agent = true;
    }
}

fn signal(handle: &AsyncFd<OwnedFd>, how: Stop) -> io::Result<()> {
    let signal = match how {
        Stop::Soft => Signal::TERM,
        Stop::Hard => Signal::KILL,
    };
    match pidfd_send_signal(handle.get_ref(), signal) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        sent => Ok(sent?),
    }
}

impl Drop for ProcessLauncher {
    fn drop(&mut self) {
        if !self.end_with_agent {
            return;
        }
        for (name, live) in &self.live {
            let sent = live.handle.as_ref().map(|handle| signal(handle, Stop::Hard));
            if !matches!(sent, Some(Ok(()))) {
                tracing::error!(name, pid = live.pid, "can't end the instance; end it by hand");
            }
        }
    }
}

#[cfg(test)]
mod tests;
