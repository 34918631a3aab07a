//! Real children: a shell script that takes the lock as `fastchatd` does.

use super::*;
use fastchat_wire::{Secret, control::Role};
use std::{os::unix::fs::PermissionsExt, path::Path};

/// Takes the lock in its `--state` and stays. `stubborn` ignores a soft stop, `broken` can't start.
const STAND_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/agent/launcher/process/stand_in.sh");

struct Host {
    folder: tempfile::TempDir,
    launcher: ProcessLauncher,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut launcher = launcher(folder.path());
        // A test leaves no process behind, however it ends.
        launcher.end_with_agent();
        Self { folder, launcher }
    }

    async fn seen(&mut self, name: &str) -> Seen {
        seen(&mut self.launcher, name).await
    }

    /// Starts an instance and waits until it holds its lock.
    async fn start(&mut self, name: &str) -> u32 {
        self.launcher.start(&instance(name)).await.unwrap();
        let state = self.launcher.state(name);
        let pid = self.launcher.live[name].pid;
        within("the lock", async || holder(&state).unwrap() == Holder::Somebody(pid)).await;
        pid.unwrap()
    }

    /// The launcher of the next agent; the one before is gone without a word.
    fn next_agent(&mut self) {
        let next = launcher(self.folder.path());
        let before = std::mem::replace(&mut self.launcher, next);
        self.launcher.end_with_agent();
        forget(before);
    }
}

/// Drops a launcher as a SIGKILLed agent would.
fn forget(mut launcher: ProcessLauncher) {
    launcher.end_with_agent = false;
}

fn launcher(folder: &Path) -> ProcessLauncher {
    let log = Log {
        format: crate::config::LogFormat::Text,
        level: "info".into(),
    };
    ProcessLauncher::new(STAND_IN.into(), folder.to_owned(), log, Vec::new())
}

fn instance(name: &str) -> InstanceSpec {
    InstanceSpec {
        name: name.into(),
        role: Role::Server,
        token: Secret::new("very-secret".into()),
        control: "http://127.0.0.1:9".into(),
        epoch: 0,
    }
}

async fn seen(launcher: &mut ProcessLauncher, name: &str) -> Seen {
    launcher.observe(&BTreeSet::from([name.to_owned()])).await.remove(name).unwrap()
}

async fn within(what: &str, mut fact: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if fact().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
}

async fn wait_for_end(launcher: &mut ProcessLauncher, name: &str) -> String {
    loop {
        if let Seen::Absent { exit } = seen(launcher, name).await {
            return exit.expect("how it ended is known");
        }
        tokio::time::timeout(Duration::from_secs(5), launcher.changed())
            .await
            .expect("the end is noticed");
    }
}

#[tokio::test]
async fn a_child_runs_with_its_token_in_a_file_and_not_among_its_arguments() {
    let mut host = Host::new();
    // Looked at before it becomes `sleep`.
    host.launcher.start(&instance("s1")).await.unwrap();
    let Seen::Running { pid: Some(pid) } = host.seen("s1").await else {
        panic!("it runs")
    };
    let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(!arguments.contains("very-secret"));
    let token = host.launcher.state("s1").join("token");
    assert_eq!(std::fs::read_to_string(&token).unwrap(), "very-secret");
    assert_eq!(token.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_sigkilled_child_is_noticed_at_once() {
    let mut host = Host::new();
    host.start("s1").await;
    host.launcher.stop("s1", Stop::Hard).await.unwrap();
    let exit = wait_for_end(&mut host.launcher, "s1").await;
    assert!(exit.starts_with("signal: 9"), "{exit}");
}

#[tokio::test]
async fn the_next_agent_adopts_a_running_child_and_notices_its_end() {
    let mut host = Host::new();
    let pid = host.start("s1").await;
    host.next_agent();
    assert_eq!(host.seen("s1").await, Seen::Running { pid: Some(pid) });
    host.launcher.stop("s1", Stop::Soft).await.unwrap();
    let exit = wait_for_end(&mut host.launcher, "s1").await;
    assert!(exit.contains("adopted"), "{exit}");
}

#[tokio::test]
async fn a_pid_alone_is_not_trusted() {
    let mut host = Host::new();
    let state = host.launcher.state("s1");
    std::fs::create_dir_all(&state).unwrap();
    // A dead process's lock, and its number is somebody else's by now: ours.
    std::fs::write(state.join("lock"), std::process::id().to_string()).unwrap();
    assert_eq!(host.seen("s1").await, Seen::Absent { exit: None });
    assert!(host.launcher.live.is_empty());
}

#[tokio::test]
async fn the_end_of_a_process_without_a_known_pid_is_noticed_by_its_lock() {
    let mut host = Host::new();
    let state = host.launcher.state("s1");
    std::fs::create_dir_all(&state).unwrap();
    let lock = std::fs::File::create(state.join("lock")).unwrap();
    lock.try_lock().unwrap();
    assert_eq!(host.seen("s1").await, Seen::Running { pid: None });
    assert!(host.launcher.stop("s1", Stop::Soft).await.is_err());
    drop(lock);
    wait_for_end(&mut host.launcher, "s1").await;
}

#[tokio::test]
async fn a_child_that_cannot_start_says_why() {
    let mut host = Host::new();
    host.launcher.start(&instance("broken")).await.unwrap();
    let exit = wait_for_end(&mut host.launcher, "broken").await;
    assert_eq!(exit, "exit status: 1; last line of its log: broken: the port is in use");
    host.launcher.program = host.folder.path().join("nothing");
    assert!(host.launcher.start(&instance("s1")).await.is_err());
    let exit = wait_for_end(&mut host.launcher, "s1").await;
    assert!(exit.contains("can't start"), "{exit}");
}

#[tokio::test]
async fn a_child_that_ignores_a_soft_stop_is_ended_hard() {
    let mut host = Host::new();
    host.start("stubborn").await;
    host.launcher.stop("stubborn", Stop::Soft).await.unwrap();
    let changed = tokio::time::timeout(Duration::from_millis(100), host.launcher.changed()).await;
    assert!(changed.is_err(), "it stays");
    host.launcher.stop("stubborn", Stop::Hard).await.unwrap();
    wait_for_end(&mut host.launcher, "stubborn").await;
}

#[tokio::test]
async fn a_launcher_that_takes_its_children_along_leaves_none() {
    let mut host = Host::new();
    host.start("stubborn").await;
    let state = host.launcher.state("stubborn");
    host.launcher = launcher(host.folder.path());
    within("the end", async || holder(&state).unwrap() == Holder::Nobody).await;
}
