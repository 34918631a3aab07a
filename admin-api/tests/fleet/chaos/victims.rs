//! The processes of a fleet, found by their lock files: no control plane is needed for it, it may be dead.

use super::plan::Victim;
use fastchatd_testing::NatsServer;
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, path::Path, sync::Mutex};

/// Something beside the fleet that is killed too, and that the fleet does not start again by itself.
pub(crate) trait Service: Sync {
    /// Kills it: nothing of it gets to finish anything.
    fn kill(&self);
    /// Starts it; it answers when this returns.
    fn start_again(&self);
}

impl Service for fastchat_schema_testing::Server {
    fn kill(&self) {
        self.kill();
    }

    fn start_again(&self) {
        self.start_again();
    }
}

impl Service for Mutex<NatsServer> {
    fn kill(&self) {
        self.lock().expect("whoever had it did not panic").kill();
    }

    fn start_again(&self) {
        self.lock().expect("whoever had it did not panic").restart();
    }
}

/// Kills a process of the fleet in a data folder: its name; `None` where all of that kind are dead already.
pub(crate) fn kill(data: &Path, victim: Victim, which: usize) -> Option<String> {
    let mut living: Vec<(String, u32)> = fs::read_dir(data.join("processes"))
        .expect("a fleet's folder")
        .flatten()
        .filter_map(|folder| {
            let pid = fs::read_to_string(folder.path().join("lock")).ok()?.trim().parse().ok()?;
            let name = folder.file_name().into_string().ok()?;
            (role_of(data, pid)? == victim).then_some((name, pid))
        })
        .collect();
    living.sort_unstable();
    let (name, pid) = living.get(which.checked_rem(living.len())?)?;
    let pid = Pid::from_raw(i32::try_from(*pid).ok()?)?;
    kill_process(pid, Signal::KILL).ok().map(|()| name.clone())
}

/// What a process of this very fleet is; `None` where it is somebody else's, or dead.
fn role_of(data: &Path, pid: u32) -> Option<Victim> {
    let arguments = String::from_utf8(fs::read(format!("/proc/{pid}/cmdline")).ok()?).ok()?;
    if !arguments.contains(data.to_str()?) {
        return None;
    }
    match arguments.split('\0').nth(1)? {
        "server" => Some(Victim::Server),
        "balancer" => Some(Victim::Balancer),
        "agent" => Some(Victim::Agent),
        "serve" => Some(Victim::Control),
        _ => None,
    }
}
