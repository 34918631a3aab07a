//! The plan: what has to be done so that the world is as the spec wants it. Pure.
//!
//! One step for each instance at a time; the caller records it ([`Ledger::record`](super::ledger::Ledger::record)),
//! does it, looks at the world and plans again until nothing is left to do.
//! Planning twice without doing anything gives the same plan.

use super::{
    ledger::Ledger,
    state::{Instance, Phase},
};
use fastchat_wire::control::Role;
use std::collections::{BTreeMap, BTreeSet};

/// A hard stop that didn't end a process is repeated after this time.
const HARD_STOP_AGAIN_MS: u64 = 1_000;

/// An instance that should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its role.
    pub(crate) role: Role,
    /// Its epoch.
    pub(crate) epoch: u64,
}

/// What the launcher sees of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Its process runs.
    Running {
        /// Its process id, where it is known.
        pid: Option<u32>,
    },
    /// No process runs.
    Absent {
        /// How the last one ended, where that was seen.
        exit: Option<String>,
    },
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Start it.
    Start {
        /// Its role.
        role: Role,
        /// Its epoch.
        epoch: u64,
        /// Nobody asked for this start: it counts as a restart.
        restart: bool,
    },
    /// It runs already: write it down as running.
    Adopt {
        /// Its role.
        role: Role,
        /// Its epoch.
        epoch: u64,
    },
    /// It ended by itself: write it down; a start follows.
    Crash {
        /// How it ended.
        exit: Option<String>,
    },
    /// Ask it to end.
    SoftStop,
    /// It didn't end in time: end it.
    HardStop,
    /// It ended as asked: write it down.
    Bury {
        /// How it ended.
        exit: Option<String>,
    },
}

/// What has to be done now, and when to look again at the latest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// At most one step for each instance, by name.
    pub(crate) steps: BTreeMap<String, Step>,
    /// ms on the agent's clock; `None` where only a change can bring new steps.
    pub(crate) wake_at: Option<u64>,
}

/// Plans; `soft_stop_ms` is how long an instance may take to end softly.
pub(crate) fn plan(
    wanted: &BTreeMap<String, Wanted>,
    ledger: &Ledger,
    world: &BTreeMap<String, Seen>,
    soft_stop_ms: u64,
    now: u64,
) -> Plan {
    let mut plan = Plan::default();
    let names: BTreeSet<&String> = wanted.keys().chain(ledger.instances.keys()).collect();
    for name in names {
        let seen = world.get(name).unwrap_or(&Seen::Absent { exit: None });
        let next = match (wanted.get(name), ledger.instances.get(name)) {
            (Some(wanted), None) => Next::Step(first(*wanted, seen)),
            (Some(wanted), Some(instance)) => keep(*wanted, instance, seen, soft_stop_ms, now),
            (None, Some(instance)) => end(instance, seen, soft_stop_ms, now),
            (None, None) => Next::Nothing,
        };
        match next {
            Next::Nothing => {}
            Next::Wait { until } => plan.wake_at = Some(plan.wake_at.map_or(until, |at| at.min(until))),
            Next::Step(step) => {
                plan.steps.insert(name.clone(), step);
            }
        }
    }
    plan
}

/// What comes next for one instance.
enum Next {
    Nothing,
    Wait { until: u64 },
    Step(Step),
}

/// An instance that the ledger doesn't know.
fn first(Wanted { role, epoch }: Wanted, seen: &Seen) -> Step {
    match seen {
        Seen::Running { .. } => Step::Adopt { role, epoch },
        Seen::Absent { .. } => Step::Start {
            role,
            epoch,
            restart: false,
        },
    }
}

/// An instance that should run.
fn keep(Wanted { role, epoch }: Wanted, instance: &Instance, seen: &Seen, soft_stop_ms: u64, now: u64) -> Next {
    let asked_start = Step::Start {
        role,
        epoch,
        restart: false,
    };
    let same = (instance.role, instance.epoch) == (role, epoch);
    Next::Step(match (&instance.phase, seen) {
        (Phase::Running { .. }, Seen::Running { .. }) if same => return Next::Nothing,
        (Phase::Running { .. }, Seen::Running { .. }) => Step::SoftStop,
        (Phase::Running { .. }, Seen::Absent { exit }) => Step::Crash { exit: exit.clone() },
        (Phase::Crashed { .. }, Seen::Absent { .. }) if !same => asked_start,
        (Phase::Crashed { since }, Seen::Absent { .. }) => {
            let until = instance.restart_at(*since);
            if now < until {
                return Next::Wait { until };
            }
            Step::Start {
                role,
                epoch,
                restart: true,
            }
        }
        // It runs though nobody thought so: started by an agent that died just then.
        (Phase::Crashed { .. } | Phase::Stopped, Seen::Running { .. }) => Step::Adopt {
            role: instance.role,
            epoch: instance.epoch,
        },
        (Phase::Stopping { since, hard }, Seen::Running { .. }) => return stopping(*since, *hard, soft_stop_ms, now),
        (Phase::Stopping { .. } | Phase::Stopped, Seen::Absent { .. }) => asked_start,
    })
}

/// An instance that should not run.
fn end(instance: &Instance, seen: &Seen, soft_stop_ms: u64, now: u64) -> Next {
    match (&instance.phase, seen) {
        (Phase::Stopped, Seen::Absent { .. }) => Next::Nothing,
        (Phase::Stopping { since, hard }, Seen::Running { .. }) => stopping(*since, *hard, soft_stop_ms, now),
        (Phase::Running { .. } | Phase::Crashed { .. } | Phase::Stopped, Seen::Running { .. }) => Next::Step(Step::SoftStop),
        (_, Seen::Absent { exit }) => Next::Step(Step::Bury { exit: exit.clone() }),
    }
}

/// An instance that was asked to end and hasn't yet.
fn stopping(since: u64, hard: bool, soft_stop_ms: u64, now: u64) -> Next {
    let until = since + if hard { HARD_STOP_AGAIN_MS } else { soft_stop_ms };
    if now < until {
        Next::Wait { until }
    } else {
        Next::Step(Step::HardStop)
    }
}

#[cfg(test)]
mod tests;
