//! The machine, its disk, and the commit that was measured.

use anyhow::Result;
use std::{
    fs::{self, File},
    io::Write,
    process::Command,
    time::{Duration, Instant},
};

/// Syncs of which the median is taken.
const SYNCS: usize = 200;

/// The machine's load average over the last minute.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}

/// Cores, CPU, memory, kernel.
pub(crate) fn describe() -> String {
    let read = |path, key| {
        let file = fs::read_to_string(path).unwrap_or_default();
        let line = file.lines().find(|line| line.starts_with(key)).unwrap_or(": unknown");
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} x {}, {} memory, Linux {}",
        read("/proc/cpuinfo", "model name"),
        read("/proc/meminfo", "MemTotal"),
        kernel.trim()
    )
}

/// What it takes to write 4 KiB where the databases are and to sync them (`fdatasync`), the median.
///
/// # Errors
/// The disk refuses.
pub(crate) fn sync_time() -> Result<Duration> {
    let mut file: File = tempfile::tempfile()?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

/// The version of PostgreSQL, as it names itself.
pub(crate) fn postgres() -> String {
    fastchat_schema_testing::version()
}

/// The commit, marked where the tree differs from it.
pub(crate) fn commit() -> String {
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
        .output();
    let described = described.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    described
        .ok()
        .filter(|commit| !commit.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}
