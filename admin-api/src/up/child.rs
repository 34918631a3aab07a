//! A child process that is restarted with backoff when it dies.

use super::log_file;
use fastchat_wire::Secret;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsString,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{process::Command, sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Whoever ran this long starts again without delay.
const STEADY: Duration = Duration::from_secs(30);
/// How often the log's size is looked at.
const LOG_CHECK: Duration = Duration::from_secs(30);

/// What is run.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// What it is, for people.
    pub(super) what: &'static str,
    /// Its file.
    pub(super) path: PathBuf,
    /// Its arguments.
    pub(super) args: Vec<OsString>,
    /// What its environment has beyond ours.
    pub(super) env: Vec<(&'static str, Secret)>,
    /// Where its stdout and stderr go.
    pub(super) log: PathBuf,
}

/// A program that is kept running.
pub(super) struct Child {
    state: watch::Receiver<State>,
    stop: CancellationToken,
    kill: CancellationToken,
    task: JoinSet<()>,
}

/// How it stands with the program.
#[derive(Debug, Clone, Default)]
struct State {
    pid: Option<u32>,
    /// Why it ended last.
    ended: Option<String>,
}

impl Child {
    /// Starts it, and again whenever it ends.
    pub(super) fn start(program: Program) -> Self {
        let (sender, state) = watch::channel(State::default());
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let mut task = JoinSet::new();
        task.spawn(keep_running(program, sender, stop.clone(), kill.clone()));
        Self { state, stop, kill, task }
    }

    /// Follows its process id.
    pub(super) fn pid(&self) -> Pids {
        Pids(self.state.clone())
    }

    /// Waits until it ends for the first time; answers why.
    pub(super) async fn ended(&self) -> String {
        let mut state = self.state.clone();
        match state.wait_for(|state| state.ended.is_some()).await {
            Ok(state) => state.ended.clone().unwrap_or_default(),
            Err(_) => "it was stopped".to_owned(),
        }
    }

    /// Asks it to end, and ends it hard after `within`.
    pub(super) async fn stop(&mut self, within: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(within, self.task.join_next()).await.is_err() {
            self.kill.cancel();
            self.task.join_next().await;
        }
    }
}

/// The process id of a [`Child`], now.
#[derive(Clone)]
pub(super) struct Pids(watch::Receiver<State>);

impl Pids {
    /// `None` while it is not running.
    pub(super) fn now(&self) -> Option<u32> {
        self.0.borrow().pid
    }
}

async fn keep_running(program: Program, state: watch::Sender<State>, stop: CancellationToken, kill: CancellationToken) {
    let mut backoff = BACKOFF_MIN;
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let why = match run_once(&program, &state, &stop, &kill).await {
            Ok(_) if stop.is_cancelled() => return,
            Ok(status) => format!("{status}; {}", log_file::last_line(&program.log)),
            Err(error) => format!("can't run {}: {error}", program.path.display()),
        };
        tracing::warn!(
            what = program.what,
            why,
            backoff_ms = backoff.as_millis(),
            "a process ended and is started again"
        );
        state.send_replace(State {
            pid: None,
            ended: Some(why),
        });
        if begun.elapsed() > STEADY {
            backoff = BACKOFF_MIN;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(backoff) => {}
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

async fn run_once(
    program: &Program,
    state: &watch::Sender<State>,
    stop: &CancellationToken,
    kill: &CancellationToken,
) -> std::io::Result<ExitStatus> {
    let log = log_file::open(&program.log)?;
    let mut child = Command::new(&program.path)
        .args(&program.args)
        .envs(program.env.iter().map(|(name, value)| (name, value.expose())))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C goes to the terminal's whole group; only `up` decides who ends when.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    state.send_modify(|state| state.pid = child.id());
    let mut log_check = tokio::time::interval(LOG_CHECK);
    let mut asked = false;
    loop {
        tokio::select! {
            status = child.wait() => return status,
            () = kill.cancelled() => {
                child.start_kill()?;
                return child.wait().await;
            }
            () = stop.cancelled(), if !asked => {
                asked = true;
                terminate(&child);
            }
            _ = log_check.tick() => log_file::rotate(&program.log),
        }
    }
}

fn terminate(child: &tokio::process::Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    // Not waited for yet, so the pid is still its own; one that has just ended needs no signal.
    if let Some(pid) = pid
        && let Err(error) = kill_process(pid, Signal::TERM)
    {
        tracing::debug!(%error, "a process ended before it was asked to");
    }
}
