//! `fastchat-load`, as tests and benches start it.

use super::harness::{Fleet, binary, signal};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread::JoinHandle,
};

/// The program, on a fleet and accounts that its runs share.
pub(crate) fn load(fleet: &Fleet, accounts: &Path, arguments: &str) -> Command {
    let mut command = Command::new(binary("fastchat-load"));
    command
        .args(arguments.split_whitespace())
        .args(["--json", "--balancer", fleet.balancer(), "--admin-url", &fleet.line.admin])
        .arg("--token-file")
        .arg(&fleet.line.token_file)
        .arg("--accounts")
        .arg(accounts)
        .stdin(Stdio::null());
    command
}

/// Its figures, and what it ended with.
#[track_caller]
pub(crate) fn figures(output: &Output) -> (Value, Option<i32>) {
    let text = String::from_utf8_lossy(&output.stderr);
    let figures = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("one JSON object: {e}\n{text}"));
    (figures, output.status.code())
}

/// A run that goes on; dropping it ends it.
pub(crate) struct Running {
    child: Option<Child>,
    measuring: Receiver<()>,
    progress: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts it; each line of its progress is told.
    pub(crate) fn start(mut load: Command, told: impl Fn(&str) + Send + 'static) -> Self {
        let load = load.arg("--progress").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = load.spawn().expect("fastchat-load starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, measuring) = channel();
        let progress = std::thread::spawn(move || {
            let mut last = String::new();
            for line in stderr.lines().map_while(Result::ok) {
                told(&line);
                // The line before it is written when the time begins, this one a second later.
                if line.starts_with("measuring   1 s") {
                    // Whether somebody waits for it is theirs to say.
                    let _ = sender.send(());
                }
                last = line;
            }
            last
        });
        Self {
            child: Some(child),
            measuring,
            progress: Some(progress),
        }
    }

    /// Waits until its accounts are in and it measures.
    pub(crate) fn wait_until_it_measures(&mut self) {
        if self.measuring.recv().is_err() {
            let last = self.progress.take().map(|progress| progress.join().expect("no panic"));
            panic!("it ended before it measured: {}", last.unwrap_or_default());
        }
    }

    /// Ends its measuring early.
    pub(crate) fn interrupt(&self) {
        if let Some(child) = &self.child {
            signal(child.id(), "INT");
        }
    }

    /// Waits for its end: its figures, and what it ended with.
    pub(crate) fn wait(mut self) -> (Value, Option<i32>) {
        let child = self.child.take().expect("it is waited for once");
        let output = child.wait_with_output().expect("it ends");
        let last = self.progress.take().map(|progress| progress.join().expect("no panic"));
        assert!(!output.stdout.is_empty(), "it ended without figures: {}", last.unwrap_or_default());
        figures(&output)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
