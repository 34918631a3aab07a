//! Kills servers while the check runs.

use crate::{fleet::Fleet, trouble::Trouble};
use rustix::process::{Pid, Signal, kill_process};
use std::{cell::Cell, convert::Infallible, rc::Rc, time::Duration};
use tokio::time::sleep;

/// Kills a server, whichever, again and again: SIGKILL, it has no say in it.
///
/// # Errors
/// The control plane refuses to say which there are, or they can't be killed from here.
pub(crate) async fn run(fleet: &Fleet, every: Duration, kills: Rc<Cell<u64>>) -> Result<Infallible, Trouble> {
    loop {
        sleep(every).await;
        let servers = match fleet.servers().await {
            Ok(servers) if !servers.is_empty() => servers,
            // Somebody else kills control planes: it comes back.
            Ok(_) | Err(Trouble::CannotConnect(_)) => continue,
            Err(trouble) => return Err(trouble),
        };
        let chosen = servers[rand::random_range(0..servers.len())].pid;
        let pid = i32::try_from(chosen).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Trouble::Failed(format!("{chosen} is no process id")))?;
        match kill_process(pid, Signal::KILL) {
            Ok(()) => kills.set(kills.get() + 1),
            // It died already: the agent is about to start it again.
            Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(Trouble::Failed(format!("can't kill server process {chosen}: {error}"))),
        }
    }
}
