//! What is: the last status of every process, in memory.
//!
//! Nothing of it is stored. After a restart the processes' next posts rebuild
//! it within one status interval; until then nobody counts as lost.

use crate::desired::Fleet;
use fastchat_wire::control::{AgentStatus, InstanceStatus, Role, STATUS_SILENCE_MS_MAX, Status, StatusPart};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

const SILENCE_MAX: Duration = Duration::from_millis(STATUS_SILENCE_MS_MAX);

type Key = (Role, String);

/// The last status of every process that posts one.
pub(crate) struct Observed {
    since: Instant,
    entries: Mutex<Entries>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Entries {
    sequence: u64,
    by_process: HashMap<Key, Entry>,
}

struct Entry {
    status: Status,
    at: Instant,
    sequence: u64,
}

impl Observed {
    /// Nothing seen yet.
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            entries: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// Takes a process's own status.
    pub(crate) fn record(&self, role: Role, status: Status) {
        let sequence = {
            let mut entries = self.entries();
            entries.sequence += 1;
            let entry = Entry {
                sequence: entries.sequence,
                at: Instant::now(),
                status,
            };
            let key = (role, entry.status.name.clone());
            entries.by_process.insert(key, entry);
            entries.sequence
        };
        self.changed.send_modify(|seen| *seen = (*seen).max(sequence));
    }

    /// Drops what is known of processes that the fleet no longer has.
    pub(crate) fn retain(&self, fleet: &Fleet) {
        self.entries().by_process.retain(|(role, name), _| match role {
            Role::Agent => fleet.host(name).is_some(),
            Role::Server | Role::Balancer => fleet.instance(*role, name).is_some(),
        });
    }

    /// All of it, as it is now.
    pub(crate) fn snapshot(&self) -> Sightings {
        let now = Instant::now();
        let entries = self.entries();
        let by_process = entries.by_process.iter().map(|(key, entry)| {
            let silent = now.duration_since(entry.at) > SILENCE_MAX;
            let age = now.duration_since(entry.at);
            (
                key.clone(),
                Sighting {
                    status: entry.status.clone(),
                    silent,
                    age,
                    sequence: entry.sequence,
                },
            )
        });
        Sightings {
            by_process: by_process.collect(),
            settled: now.duration_since(self.since) > SILENCE_MAX,
        }
    }

    /// Wakes with every status.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Every critical section leaves the map whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One process's last status.
#[derive(Debug, Clone)]
pub(crate) struct Sighting {
    /// What it said.
    pub(crate) status: Status,
    /// It has said nothing for too long.
    pub(crate) silent: bool,
    /// How long ago it said it.
    pub(crate) age: Duration,
    /// Orders the statuses of all processes by arrival.
    pub(crate) sequence: u64,
}

/// What is known of all processes at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sightings {
    /// By role and name.
    pub(crate) by_process: HashMap<Key, Sighting>,
    /// The control plane is up long enough to miss those that it never heard.
    pub(crate) settled: bool,
}

impl Sightings {
    /// Of one process.
    pub(crate) fn of(&self, role: Role, name: &str) -> Option<&Sighting> {
        self.by_process.get(&(role, name.to_owned()))
    }

    /// What a host's agent said last.
    pub(crate) fn agent(&self, host: &str) -> Option<(&Sighting, &AgentStatus)> {
        let sighting = self.of(Role::Agent, host)?;
        match &sighting.status.part {
            StatusPart::Agent(status) => Some((sighting, status)),
            StatusPart::Server(_) | StatusPart::Balancer(_) => None,
        }
    }

    /// What a host's agent said last of one instance.
    pub(crate) fn by_agent(&self, host: &str, role: Role, name: &str) -> Option<(&Sighting, &InstanceStatus)> {
        let (sighting, agent) = self.agent(host)?;
        let instance = agent
            .instances
            .iter()
            .find(|instance| instance.role == role && instance.name == name)?;
        Some((sighting, instance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fleet, server_status};

    #[tokio::test(start_paused = true)]
    async fn a_process_that_says_nothing_for_too_long_is_silent() {
        let observed = Observed::new();
        observed.record(Role::Server, server_status("s1", 11));
        assert!(!observed.snapshot().of(Role::Server, "s1").unwrap().silent);
        assert!(!observed.snapshot().settled);
        tokio::time::advance(SILENCE_MAX + Duration::from_millis(1)).await;
        assert!(observed.snapshot().of(Role::Server, "s1").unwrap().silent);
        assert!(observed.snapshot().settled);
        observed.record(Role::Server, server_status("s1", 11));
        assert!(!observed.snapshot().of(Role::Server, "s1").unwrap().silent);
    }

    #[tokio::test]
    async fn processes_that_left_the_fleet_are_forgotten() {
        let observed = Observed::new();
        observed.record(Role::Server, server_status("s1", 11));
        observed.record(Role::Server, server_status("s9", 12));
        observed.retain(&fleet(1));
        let sightings = observed.snapshot();
        assert!(sightings.of(Role::Server, "s1").is_some());
        assert!(sightings.of(Role::Server, "s9").is_none());
    }
}
