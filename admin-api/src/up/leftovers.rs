//! Processes of this very folder that an earlier `up` left behind, found by the locks that they hold.

use crate::data::{CONTROL, DataFolder, holder};
use anyhow::bail;
use rustix::process::{Pid, Signal, kill_process};
use std::{path::Path, time::Duration};
use tokio::time::Instant;

/// Whoever was signalled is gone after this time.
const END_TIME_MAX: Duration = Duration::from_secs(5);

/// Ends the control plane and the agent of an `up` that was killed. The agent is
/// killed, so that its instances go on, and the next agent adopts them.
///
/// # Errors
/// One of them does not end.
pub(super) async fn end_supervisors(data: &DataFolder, host: &str) -> anyhow::Result<()> {
    for (name, signal) in [(CONTROL, Signal::TERM), (host, Signal::KILL)] {
        let lock = data.processes().join(name).join("lock");
        if let Some(pid) = end(&lock, signal).await {
            bail!("process {pid} of an earlier `up` does not end; end it by hand, then start again");
        }
    }
    Ok(())
}

/// Kills every process of the folder but the control plane: none is left when `up` ends.
pub(super) async fn end_instances(data: &DataFolder) {
    let Ok(folders) = std::fs::read_dir(data.processes()) else { return };
    for folder in folders.flatten().filter(|folder| folder.file_name() != CONTROL) {
        if let Some(pid) = end(&folder.path().join("lock"), Signal::KILL).await {
            tracing::error!(pid, "a process does not end; end it by hand");
        }
    }
}

/// Signals the holder of a lock and waits until it is free; `Some` with the pid where it stays.
async fn end(lock: &Path, signal: Signal) -> Option<u32> {
    let until = Instant::now() + END_TIME_MAX;
    let pid = holder(lock)?;
    tracing::info!(pid, lock = %lock.display(), "ending a process that was left behind");
    // The lock is held, so the pid in it is alive and of this folder.
    if let Some(target) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        && let Err(error) = kill_process(target, signal)
    {
        tracing::debug!(%error, pid, "it ended by itself");
    }
    while Instant::now() < until {
        holder(lock)?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Some(pid)
}
