//! What the processes under test use, from `/proc`: CPU time and memory.

use crate::trouble::Trouble;
use rustix::param::clock_ticks_per_second;
use std::{collections::BTreeMap, fs, str::FromStr};

/// The part that a process plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Role {
    /// A chat server.
    Servers,
    /// A balancer.
    Balancer,
    /// The database.
    Database,
    /// This process.
    LoadGenerator,
}

impl Role {
    /// Its key in the report.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Servers => "servers",
            Self::Balancer => "balancer",
            Self::Database => "database",
            Self::LoadGenerator => "load_generator",
        }
    }
}

/// A process and its part, as `--pid` names it: `server=4711`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) role: Role,
    pub(crate) pid: u32,
}

impl FromStr for Process {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no ROLE=PID: write server=4711, balancer=4712 or database=4713");
        let (role, pid) = text.split_once('=').ok_or_else(wrong)?;
        let role = match role {
            "server" | "servers" => Role::Servers,
            "balancer" => Role::Balancer,
            "database" => Role::Database,
            _ => return Err(wrong()),
        };
        let pid = pid.parse().ok().filter(|pid| *pid > 0).ok_or_else(wrong)?;
        Ok(Self { role, pid })
    }
}

/// The processes to look at. One that ended keeps what it had used.
#[derive(Debug)]
pub(crate) struct Watched {
    processes: Vec<Process>,
    last: BTreeMap<u32, f64>,
}

/// CPU seconds by part, since the processes began.
pub(crate) type CpuSeconds = BTreeMap<Role, f64>;

impl Watched {
    /// Looks at these and at this process.
    ///
    /// # Errors
    /// One of them is not on this machine.
    pub(crate) fn new(mut processes: Vec<Process>) -> Result<Self, Trouble> {
        processes.push(Process {
            role: Role::LoadGenerator,
            pid: std::process::id(),
        });
        if let Some(gone) = processes.iter().find(|process| cpu_seconds(process.pid).is_none()) {
            return Err(Trouble::Usage(format!(
                "there is no process {} on this machine: CPU and memory are measured only where the {} run beside this program",
                gone.pid,
                gone.role.as_str()
            )));
        }
        Ok(Self {
            processes,
            last: BTreeMap::new(),
        })
    }

    /// What they have used so far.
    pub(crate) fn cpu(&mut self) -> CpuSeconds {
        let mut sums = CpuSeconds::new();
        for process in &self.processes {
            let last = self.last.entry(process.pid).or_insert(0.0);
            *last = cpu_seconds(process.pid).unwrap_or(*last);
            *sums.entry(process.role).or_insert(0.0) += *last;
        }
        sums
    }

    /// Private memory of all chat servers, in bytes; `None` where none is watched.
    pub(crate) fn server_memory(&self) -> Option<u64> {
        let servers = self.processes.iter().filter(|process| process.role == Role::Servers);
        let memory: Vec<u64> = servers.filter_map(|process| anonymous_bytes(process.pid)).collect();
        (!memory.is_empty()).then(|| memory.iter().sum())
    }
}

/// The processes of a name, such as `postgres`.
pub(crate) fn named(name: &str, role: Role) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let comm = fs::read_to_string(entry.path().join("comm")).ok()?;
            (comm.trim_end() == name).then_some(Process { role, pid })
        })
        .collect()
}

fn cpu_seconds(pid: u32) -> Option<f64> {
    let ticks = cpu_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    Some(ticks as f64 / clock_ticks_per_second() as f64)
}

/// User and system time of a process; its name may have blanks and brackets.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn anonymous_bytes(pid: u32) -> Option<u64> {
    parse_anonymous(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn parse_anonymous(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_whatever_a_process_calls_itself() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 100 1 2";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("nonsense"), None);
    }

    #[test]
    fn private_memory_is_read_in_bytes() {
        assert_eq!(parse_anonymous("Name:\tx\nRssAnon:\t    12 kB\nRssFile:\t 9 kB\n"), Some(12_288));
    }

    #[test]
    fn this_process_is_always_watched() {
        let mut watched = Watched::new(Vec::new()).unwrap();
        assert!(watched.cpu()[&Role::LoadGenerator] >= 0.0);
        assert_eq!(watched.server_memory(), None);
    }

    #[test]
    fn a_process_is_named_with_its_part() {
        let process = "server=12".parse::<Process>().unwrap();
        assert_eq!((process.role, process.pid), (Role::Servers, 12));
        for bad in ["12", "server=", "server=0", "cat=12"] {
            assert!(bad.parse::<Process>().unwrap_err().contains("ROLE=PID"), "{bad}");
        }
    }
}
