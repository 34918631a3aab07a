//! A process: its lines with the moment of each, its CPU time, its memory.

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(120);
/// Lines that wait to be looked at.
const LINES_MAX: usize = 1 << 16;
/// Linux counts CPU time for processes in this, on all machines that we know of.
const TICK: Duration = Duration::from_millis(10);

/// A running process. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<(Instant, String)>,
    /// When it was started.
    pub(crate) begun: Instant,
}

impl Running {
    /// Starts it; `input` is all that it reads.
    pub(crate) fn start(mut command: Command, input: String) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let stdout = child.stdout.take().context("its output is piped")?;
        let mut stdin = child.stdin.take().context("its input is piped")?;
        let (sender, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines, begun })
    }

    /// The next line, and when it came.
    pub(crate) fn line(&self) -> anyhow::Result<(Instant, Value)> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok((at, line)) => Ok((at, serde_json::from_str(&line)?)),
            Err(_) => bail!("no line within {PATIENCE:?}"),
        }
    }

    /// Waits for a line with this text; gives its moment.
    pub(crate) fn wait_for_text(&self, text: &str) -> anyhow::Result<Instant> {
        loop {
            let (at, line) = self.line()?;
            if line["text"] == text {
                return Ok(at);
            }
        }
    }

    /// Waits for so many lines; gives the last one's moment.
    pub(crate) fn wait_for_lines(&self, count: usize) -> anyhow::Result<Instant> {
        let mut last = self.begun;
        for _ in 0..count {
            last = self.line()?.0;
        }
        Ok(last)
    }

    /// Waits for its end; gives the moment of that.
    pub(crate) fn finish(mut self) -> anyhow::Result<Instant> {
        let status = self.child.wait()?;
        ensure!(status.success(), "it ended with {status}");
        Ok(Instant::now())
    }

    /// Waits for its end; gives its last line, the moment of its end, and the memory that was resident at most, in MiB.
    pub(crate) fn last_line_and_memory(mut self) -> anyhow::Result<(Value, Instant, f64)> {
        let mut most: f64 = 0.0;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            // It may end at this moment.
            if let Ok((_, so_far)) = self.memory() {
                most = most.max(so_far);
            }
            std::thread::sleep(TICK);
        };
        let ended = Instant::now();
        ensure!(status.success(), "it ended with {status}");
        let line = self.lines.iter().last().context("it says something")?.1;
        Ok((serde_json::from_str(&line)?, ended, most))
    }

    /// CPU time so far, to 10 ms.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu_of(&self.child.id().to_string(), 14)
    }

    /// Memory that is resident, now and at most so far, in MiB.
    pub(crate) fn memory(&self) -> anyhow::Result<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mib = |key: &str| -> anyhow::Result<f64> {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .context("a process has memory")?;
            let kib: f64 = line.trim_end_matches("kB").trim().parse()?;
            Ok(kib / 1024.0)
        };
        Ok((mib("VmRSS:")?, mib("VmHWM:")?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of a process so far, to 10 ms.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    cpu_of(&pid.to_string(), 14)
}

/// CPU time of this process so far, to 10 ms.
pub(crate) fn own_cpu() -> anyhow::Result<Duration> {
    cpu_of("self", 14)
}

/// CPU time of this process's children that have ended and were waited for, to 10 ms.
pub(crate) fn childrens_cpu() -> anyhow::Result<Duration> {
    cpu_of("self", 16)
}

/// Two fields of `/proc/…/stat` from this one on, counted from 1: user's and system's time.
fn cpu_of(process: &str, field: usize) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the name, which may have spaces: field 3.
    let (_, fields) = stat.rsplit_once(") ").context("a process has a name")?;
    let ticks: Vec<u32> = fields
        .split(' ')
        .skip(field - 3)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(TICK * ticks.iter().sum())
}
