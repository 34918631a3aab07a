//! A run of the program that goes on beside the test.

use super::{PATIENCE, finished::Finished};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// A process with its streams read by threads. Dropped, it is killed.
pub(super) struct Running {
    command: String,
    child: Child,
    input: Option<ChildStdin>,
    heard: Arc<Heard>,
    readers: Vec<JoinHandle<()>>,
}

/// What it has said so far.
#[derive(Default)]
struct Heard {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Default)]
struct Said {
    lines: Vec<(Instant, String)>,
    errors: String,
    ended: bool,
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().expect("readers do not panic")
    }

    fn change(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.lock());
        self.more.notify_all();
    }
}

impl Running {
    /// Starts a command with all three streams piped.
    pub(super) fn start(mut command: Command) -> Self {
        let shown = format!("{command:?}");
        let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = streams.spawn().unwrap_or_else(|e| panic!("{shown}: {e}"));
        let heard = Arc::new(Heard::default());
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let readers = vec![read_lines(stdout, Arc::clone(&heard)), read_errors(stderr, Arc::clone(&heard))];
        Self {
            command: shown,
            input: child.stdin.take(),
            child,
            heard,
            readers,
        }
    }

    /// Types a line.
    pub(super) fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        writeln!(input, "{line}").unwrap_or_else(|e| panic!("it reads no more ({e})\n{}", self.so_far(None)));
    }

    /// Types a whole text, and no more; nobody minds when it is not read.
    pub(super) fn type_all(&mut self, text: &str) {
        if let Some(mut input) = self.input.take() {
            let _ = input.write_all(text.as_bytes());
        }
    }

    /// All lines so far.
    pub(super) fn lines(&self) -> Vec<Value> {
        self.so_far(None).lines()
    }

    /// When each of the lines so far came.
    pub(super) fn arrivals(&self) -> Vec<Instant> {
        self.heard.lock().lines.iter().map(|(at, _)| *at).collect()
    }

    /// Waits until its lines are such; fails the test when it ends before, or takes too long.
    #[track_caller]
    pub(super) fn wait_until<T>(&self, what: &str, mut look: impl FnMut(&[Value]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Looked at before the lines: nothing comes after the end.
            let ended = self.heard.lock().ended;
            let lines = self.lines();
            if let Some(found) = look(&lines) {
                return found;
            }
            assert!(!ended, "it ended before: {what}\n{}", self.so_far(None));
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}\n{}", self.so_far(None));
            let said = self.heard.lock();
            if said.lines.len() == lines.len() && !said.ended {
                let _ = self.heard.more.wait_timeout(said, Duration::from_millis(500));
            }
        }
    }

    /// Waits for a number of lines.
    #[track_caller]
    pub(super) fn wait_for(&self, count: usize) -> Vec<Value> {
        self.wait_until(&format!("{count} lines"), |lines| (lines.len() >= count).then(|| lines.to_vec()))
    }

    /// Waits for a line like this; answers the first.
    #[track_caller]
    pub(super) fn wait_for_line(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.wait_until(what, |lines| lines.iter().find(|line| is(line)).cloned())
    }

    /// Waits for a text.
    #[track_caller]
    pub(super) fn wait_for_text(&self, text: &str) -> Value {
        self.wait_for_line(&format!("the text \"{text}\""), |line| line["text"] == text)
    }

    /// SIGKILL: it has no say in it.
    pub(super) fn kill(mut self) -> Finished {
        self.child.kill().expect("it can be killed");
        self.finish()
    }

    /// Closes its input and waits for its end.
    #[track_caller]
    pub(super) fn finish(mut self) -> Finished {
        drop(self.input.take());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "it did not end within {PATIENCE:?}\n{}",
                self.so_far(None)
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        for reader in self.readers.drain(..) {
            reader.join().expect("readers do not panic");
        }
        self.so_far(Some(status))
    }

    fn so_far(&self, status: Option<ExitStatus>) -> Finished {
        let said = self.heard.lock();
        Finished {
            command: self.command.clone(),
            code: status.and_then(|status| status.code()),
            stdout: said.lines.iter().map(|(_, line)| line.clone()).collect(),
            stderr: said.errors.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(stream: impl Read + Send + 'static, heard: Arc<Heard>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            heard.change(|said| said.lines.push((Instant::now(), line)));
        }
        heard.change(|said| said.ended = true);
    })
}

fn read_errors(stream: impl Read + Send + 'static, heard: Arc<Heard>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            heard.change(|said| {
                said.errors.push_str(&line);
                said.errors.push('\n');
            });
        }
    })
}
