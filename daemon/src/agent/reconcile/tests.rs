//! The plan against a fake world: processes are names in a map.

use super::*;
use crate::agent::state::{LIFE_MS, RESTART_MS_MAX};

const SOFT_STOP_MS: u64 = 10_000;

/// A host whose processes are entries of a map; `deaf` ones ignore a soft stop.
#[derive(Default)]
struct Host {
    wanted: BTreeMap<String, Wanted>,
    ledger: Ledger,
    world: BTreeMap<String, Seen>,
    deaf: bool,
    next_pid: u32,
    now: u64,
}

impl Host {
    fn wants(epochs: &[(&str, u64)]) -> Self {
        let mut host = Self::default();
        host.want(epochs);
        host
    }

    fn want(&mut self, epochs: &[(&str, u64)]) {
        let wanted = |(name, epoch): &(&str, u64)| {
            let role = Role::Server;
            ((*name).to_owned(), Wanted { role, epoch: *epoch })
        };
        self.wanted = epochs.iter().map(wanted).collect();
    }

    fn plan(&self) -> Plan {
        plan(&self.wanted, &self.ledger, &self.world, SOFT_STOP_MS, self.now)
    }

    /// Plans and acts until nothing is left to do; what was done, in words.
    fn settle(&mut self) -> Vec<String> {
        let mut done = Vec::new();
        for _ in 0..10 {
            let plan = self.plan();
            if plan.steps.is_empty() {
                return done;
            }
            for (name, step) in plan.steps {
                self.ledger.record(&name, &step, self.now);
                done.push(format!("{} {name}", self.act(&name, &step)));
            }
        }
        panic!("the plan never settles: {done:?}");
    }

    fn act(&mut self, name: &str, step: &Step) -> &'static str {
        let killed = Seen::Absent {
            exit: Some("signal".into()),
        };
        match step {
            Step::Start { restart, .. } => {
                self.next_pid += 1;
                self.world.insert(name.into(), Seen::Running { pid: Some(self.next_pid) });
                if *restart { "restart" } else { "start" }
            }
            Step::Adopt { .. } => "adopt",
            Step::Crash { .. } => "crash",
            Step::SoftStop => {
                if !self.deaf {
                    self.world.insert(name.into(), killed);
                }
                "soft stop"
            }
            Step::HardStop => {
                self.world.insert(name.into(), killed);
                "hard stop"
            }
            Step::Bury { .. } => "bury",
        }
    }

    fn kill(&mut self, name: &str) {
        let exit = Some("killed by signal 9".into());
        self.world.insert(name.into(), Seen::Absent { exit });
    }

    /// A new agent: the ledger as it stands on disk, the clock at 0, what the dead agent saw forgotten.
    fn restart_agent(&mut self) {
        let bytes = serde_json::to_vec(&self.ledger).unwrap();
        self.ledger = serde_json::from_slice(&bytes).unwrap();
        self.now = 0;
        for seen in self.world.values_mut() {
            if let Seen::Absent { exit } = seen {
                *exit = None;
            }
        }
    }

    fn restarts(&self, name: &str) -> u64 {
        self.ledger.instances[name].restarts
    }
}

#[test]
fn ensure_twice_is_once() {
    let mut host = Host::wants(&[("s1", 0), ("s2", 0)]);
    assert_eq!(host.plan(), host.plan());
    assert_eq!(host.settle(), ["start s1", "start s2"]);
    assert_eq!(host.settle(), [""; 0]);
    assert_eq!(host.plan(), Plan::default(), "nothing to do, nothing to wait for");
}

#[test]
fn agent_restart_adopts_running_instance() {
    let mut host = Host::wants(&[("s1", 3)]);
    host.settle();
    let before = host.world.clone();
    host.restart_agent();
    assert_eq!(host.settle(), [""; 0]);
    assert_eq!(host.world, before);
    assert_eq!(host.restarts("s1"), 0);
}

#[test]
fn a_lost_ledger_adopts_running_instance() {
    let mut host = Host::wants(&[("s1", 3)]);
    host.settle();
    host.ledger = Ledger::default();
    assert_eq!(host.settle(), ["adopt s1"]);
    assert_eq!(host.ledger.instances["s1"].epoch, 3);
}

#[test]
fn an_agent_that_dies_between_intent_and_start_is_followed_by_one_that_starts() {
    let mut host = Host::wants(&[("s1", 0)]);
    for (name, step) in host.plan().steps {
        host.ledger.record(&name, &step, 0);
    }
    host.restart_agent();
    assert_eq!(host.settle(), ["crash s1"]);
    host.now += 200;
    assert_eq!(host.settle(), ["restart s1"]);
}

#[test]
fn a_crashed_child_is_restarted_after_its_backoff() {
    let mut host = Host::wants(&[("s1", 0)]);
    host.settle();
    host.kill("s1");
    assert_eq!(host.settle(), ["crash s1"]);
    assert_eq!(host.plan().wake_at, Some(200));
    host.now = 199;
    assert_eq!(host.settle(), [""; 0]);
    host.now = 200;
    assert_eq!(host.settle(), ["restart s1"]);
    assert_eq!(host.restarts("s1"), 1);
    assert_eq!(host.ledger.instances["s1"].last_exit.as_deref(), Some("killed by signal 9"));
}

#[test]
fn the_backoff_doubles_to_its_bound_and_a_long_life_resets_it() {
    let mut host = Host::wants(&[("s1", 0)]);
    host.settle();
    let mut waits = Vec::new();
    for _ in 0..8 {
        host.kill("s1");
        host.settle();
        let at = host.plan().wake_at.unwrap();
        waits.push(at - host.now);
        host.now = at;
        assert_eq!(host.settle(), ["restart s1"]);
    }
    assert_eq!(waits, [200, 400, 800, 1_600, 3_200, 6_400, RESTART_MS_MAX, RESTART_MS_MAX]);
    host.now += LIFE_MS;
    host.kill("s1");
    host.settle();
    assert_eq!(host.plan().wake_at, Some(host.now + 200));
}

#[test]
fn an_instance_whose_epoch_grew_is_restarted_and_nobody_counts_that() {
    let mut host = Host::wants(&[("s1", 0), ("s2", 0)]);
    host.settle();
    host.want(&[("s1", 1), ("s2", 0)]);
    assert_eq!(host.settle(), ["soft stop s1", "start s1"]);
    assert_eq!((host.restarts("s1"), host.ledger.instances["s1"].epoch), (0, 1));
}

#[test]
fn a_crashed_instance_whose_epoch_grew_starts_without_waiting() {
    let mut host = Host::wants(&[("s1", 0)]);
    host.settle();
    host.kill("s1");
    host.settle();
    host.want(&[("s1", 1)]);
    assert_eq!(host.settle(), ["start s1"]);
    assert_eq!(host.restarts("s1"), 0);
}

#[test]
fn an_instance_that_left_the_spec_is_stopped_and_leaves_a_tombstone() {
    let mut host = Host::wants(&[("s1", 0), ("s2", 0)]);
    host.settle();
    host.want(&[("s2", 0)]);
    assert_eq!(host.settle(), ["soft stop s1", "bury s1"]);
    assert_eq!(host.ledger.instances["s1"].phase, Phase::Stopped);
    host.restart_agent();
    assert_eq!(host.settle(), [""; 0], "the dead stay dead");
    host.want(&[("s1", 0), ("s2", 0)]);
    assert_eq!(host.settle(), ["start s1"], "unless the spec wants them back");
}

#[test]
fn an_instance_that_ignores_a_soft_stop_is_stopped_hard() {
    let mut host = Host::wants(&[("s1", 0)]);
    host.settle();
    host.deaf = true;
    host.want(&[]);
    assert_eq!(host.settle(), ["soft stop s1"]);
    assert_eq!(host.plan().wake_at, Some(SOFT_STOP_MS));
    host.now = SOFT_STOP_MS;
    let step = host.plan().steps.remove("s1").unwrap();
    assert_eq!(step, Step::HardStop);
    host.ledger.record("s1", &step, host.now);
    host.now += 5;
    assert!(host.plan().steps.is_empty(), "it takes a moment to die");
    host.kill("s1");
    assert_eq!(host.settle(), ["bury s1"]);
}

#[test]
fn a_stop_that_a_dead_agent_began_is_finished_by_the_next() {
    let mut host = Host::wants(&[("s1", 0)]);
    host.settle();
    host.deaf = true;
    host.want(&[]);
    host.settle();
    host.restart_agent();
    assert_eq!(host.plan().wake_at, Some(SOFT_STOP_MS));
    host.now = SOFT_STOP_MS;
    assert_eq!(host.settle(), ["hard stop s1", "bury s1"]);
}

#[test]
fn a_stopping_instance_that_is_wanted_again_starts_once_it_has_ended() {
    let mut host = Host::wants(&[("s1", 0)]);
    host.settle();
    host.deaf = true;
    host.want(&[]);
    host.settle();
    host.want(&[("s1", 0)]);
    assert_eq!(host.settle(), [""; 0], "not two at a time");
    host.kill("s1");
    assert_eq!(host.settle(), ["start s1"]);
}

#[test]
fn a_crashed_instance_that_left_the_spec_is_not_started_again() {
    let mut host = Host::wants(&[("s1", 0)]);
    host.settle();
    host.kill("s1");
    host.settle();
    host.want(&[]);
    assert_eq!(host.settle(), ["bury s1"]);
}

#[test]
fn a_process_that_another_start_won_against_is_adopted() {
    let mut host = Host::wants(&[("s1", 0)]);
    host.settle();
    host.kill("s1");
    host.settle();
    host.world.insert("s1".into(), Seen::Running { pid: Some(99) });
    assert_eq!(host.settle(), ["adopt s1"]);
    assert_eq!(host.restarts("s1"), 0);
}

#[test]
fn processes_that_are_neither_in_the_spec_nor_in_the_ledger_are_left_alone() {
    let mut host = Host::wants(&[]);
    host.world.insert("by-hand".into(), Seen::Running { pid: Some(5) });
    assert_eq!(host.settle(), [""; 0]);
}
