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
    /// The broker of the bus.
    Bus,
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
            Self::Bus => "bus",
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
        let wrong = || format!("\"{text}\" is no ROLE=PID: write server=4711, balancer=4712, database=4713 or bus=4714");
        let (role, pid) = text.split_once('=').ok_or_else(wrong)?;
        let role = match role {
            "server" | "servers" => Role::Servers,
            "balancer" => Role::Balancer,
            "database" => Role::Database,
            "bus" => Role::Bus,
            _ => return Err(wrong()),
        };
        let pid = pid.parse().ok().filter(|pid| *pid > 0).ok_or_else(wrong)?;
        Ok(Self { role, pid })
    }
}

/// The processes to look at. Whatever they start counts as theirs, and one that ended keeps what it had used.
#[derive(Debug)]
pub(crate) struct Watched {
    processes: Vec<Process>,
    last: BTreeMap<u32, f64>,
}

/// CPU seconds by part, since the processes began.
pub(crate) type CpuSeconds = BTreeMap<Role, f64>;

/// Private memory by part, in bytes.
pub(crate) type MemoryBytes = BTreeMap<Role, u64>;

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

    /// Looks at these from now on, too.
    pub(crate) fn follow(&mut self, processes: &[Process]) {
        for process in processes {
            if !self.processes.contains(process) {
                self.processes.push(*process);
            }
        }
    }

    /// What they have used so far.
    pub(crate) fn cpu(&mut self) -> CpuSeconds {
        let mut sums = CpuSeconds::new();
        for process in &self.processes {
            let last = self.last.entry(process.pid).or_insert(0.0);
            *last = cpu_seconds(process.pid).map_or(*last, |now| now.max(*last));
            *sums.entry(process.role).or_insert(0.0) += *last;
        }
        sums
    }

    /// Private memory by part, in bytes; a database's is shared, so it isn't in.
    pub(crate) fn memory(&self) -> MemoryBytes {
        let mut sums = MemoryBytes::new();
        for process in self.processes.iter().filter(|process| process.role != Role::Database) {
            if let Some(bytes) = anonymous_bytes(process.pid) {
                *sums.entry(process.role).or_insert(0) += bytes;
            }
        }
        sums
    }
}

/// The processes of a name, such as `postgres`, that none of that name started.
pub(crate) fn named(name: &str, role: Role) -> Vec<Process> {
    let is_named = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == name);
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| is_named(*pid) && !Stat::read(*pid).is_some_and(|stat| is_named(stat.parent)))
        .map(|pid| Process { role, pid })
        .collect()
}

/// What a process and all that it ever started have used.
fn cpu_seconds(pid: u32) -> Option<f64> {
    Some(tree_ticks(pid)? as f64 / clock_ticks_per_second() as f64)
}

/// How often a process is read that is waiting for its children at this very moment.
const READS: usize = 8;

/// The ticks of a process, of the children that it has waited for, and of those that live.
fn tree_ticks(pid: u32) -> Option<u64> {
    let mut stat = Stat::read(pid)?;
    let mut living = 0;
    for _ in 0..READS {
        living = children(pid).into_iter().filter_map(tree_ticks).sum();
        let after = Stat::read(pid)?;
        // A child that ended moved from one sum to the other: both are read again.
        let is_steady = after.waited_ticks == stat.waited_ticks;
        stat = after;
        if is_steady {
            break;
        }
    }
    Some(stat.own_ticks + stat.waited_ticks + living)
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Parts of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time.
    own_ticks: u64,
    /// That of children that ended and were waited for.
    waited_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// A process's name may have blanks and brackets.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace().skip(1);
        let parent = fields.next()?.parse().ok()?;
        let mut ticks = fields.skip(9).map_while(|field| field.parse::<u64>().ok());
        Some(Self {
            parent,
            own_ticks: ticks.next()? + ticks.next()?,
            waited_ticks: ticks.next()? + ticks.next()?,
        })
    }
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
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    #[test]
    fn cpu_time_is_read_behind_whatever_a_process_calls_itself() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 30 4 20 0 3 0 100 1 2";
        let parsed = Stat {
            parent: 1,
            own_ticks: 300,
            waited_ticks: 34,
        };
        assert_eq!(Stat::parse(stat), Some(parsed));
        assert_eq!(Stat::parse("nonsense"), None);
    }

    #[test]
    fn what_a_process_starts_counts_as_its_own_while_it_lives_and_once_it_ended() {
        // The first child ends and is waited for, the second one lives until its input ends.
        let script = "sh -c 'i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done'; echo waited;
            sh -c 'i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo spun; read line'; :";
        let mut parent = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
        let own = || Stat::read(parent.id()).unwrap().own_ticks;
        assert_eq!(lines.next().unwrap().unwrap(), "waited");
        let waited = tree_ticks(parent.id()).unwrap();
        assert!(waited > own(), "{waited}");
        assert_eq!(lines.next().unwrap().unwrap(), "spun");
        let both = tree_ticks(parent.id()).unwrap();
        assert!(both > waited, "{both} after {waited}");
        drop(parent.stdin.take());
        parent.wait().unwrap();
        assert_eq!(tree_ticks(parent.id()), None);
    }

    #[test]
    fn private_memory_is_read_in_bytes() {
        assert_eq!(parse_anonymous("Name:\tx\nRssAnon:\t    12 kB\nRssFile:\t 9 kB\n"), Some(12_288));
    }

    #[test]
    fn this_process_is_always_watched() {
        let mut watched = Watched::new(Vec::new()).unwrap();
        assert!(watched.cpu()[&Role::LoadGenerator] >= 0.0);
        assert_eq!(watched.memory().keys().collect::<Vec<_>>(), [&Role::LoadGenerator]);
    }

    #[test]
    fn a_process_is_named_with_its_part() {
        let process = "server=12".parse::<Process>().unwrap();
        assert_eq!((process.role, process.pid), (Role::Servers, 12));
        assert_eq!("bus=12".parse::<Process>().unwrap().role, Role::Bus);
        for bad in ["12", "server=", "server=0", "cat=12"] {
            assert!(bad.parse::<Process>().unwrap_err().contains("ROLE=PID"), "{bad}");
        }
    }
}
