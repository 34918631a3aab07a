//! The agent's loop: look, plan, write down, act, report.

use super::{
    desired::Desired,
    launcher::{Launcher, ProcessLauncher, Stop},
    ledger::{Ledger, LedgerFile},
    measures::Measures,
    reconcile::{Seen, Step, plan},
    state::Phase,
};
use crate::{
    config::{self, Log, Protection},
    shell::{Report, Shell},
};
use anyhow::Context;
use fastchat_wire::control::{AgentStatus, Part, ProcessState, StatusPart};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// An instance that the spec no longer names ends within this time, or is ended.
const SOFT_STOP_MS: u64 = 10_000;
/// The same where the agent takes its instances with it: the shell gives it 8 s in all.
const LAST_STOP_MS: u64 = 6_500;
/// A ledger that can't be written is tried again after this time.
const LEDGER_AGAIN_MS: u64 = 1_000;
/// How often the logs are looked at.
const TIDY_INTERVAL: Duration = Duration::from_secs(10);

/// Runs the agent until the shell says stop.
///
/// # Errors
/// The ledger can't be used.
pub(crate) async fn run(shell: Shell, options: config::Agent, log: Log, protection: &Protection) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("can't tell where fastchatd is, to start instances with it")?;
    let launcher = ProcessLauncher::new(program, options.data.clone(), log, protection.flags());
    let (file, ledger) = LedgerFile::open(&options.data)?;
    let measures = Measures::register(&shell.registry)?;
    let agent = Agent {
        launcher,
        file,
        ledger,
        measures,
        clock: Instant::now(),
        desired: Desired::default(),
        problem: None,
        shell,
    };
    agent.run(options.stop_children).await
}

struct Agent<L> {
    launcher: L,
    file: LedgerFile,
    ledger: Ledger,
    measures: Measures,
    clock: Instant,
    desired: Desired,
    /// What keeps the agent from acting.
    problem: Option<String>,
    shell: Shell,
}

impl<L: Launcher> Agent<L> {
    async fn run(mut self, stop_children: bool) -> anyhow::Result<()> {
        let mut tidy = interval(TIDY_INTERVAL);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shutdown = self.shell.shutdown.clone();
        self.read_spec();
        loop {
            let wake_at = self.turn(SOFT_STOP_MS, ProcessState::Ready).await;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                // An instance has ended, or may have.
                () = self.launcher.changed() => {}
                // The shell keeps its sender until the role has ended.
                _ = self.shell.spec.changed() => self.read_spec(),
                // A backoff or a soft stop is over.
                () = sleep_until(wake_at) => {}
                _ = tidy.tick() => self.launcher.tidy().await,
            }
        }
        if stop_children {
            self.launcher.end_with_agent();
            self.desired.wanted.clear();
            while !self.all_stopped() {
                let wake_at = self.turn(LAST_STOP_MS, ProcessState::Stopping).await;
                if !self.all_stopped() {
                    tokio::select! {
                        () = self.launcher.changed() => {}
                        () = sleep_until(wake_at) => {}
                    }
                }
            }
        } else {
            let world = self.look().await;
            self.report(ProcessState::Stopping, &world);
        }
        Ok(())
    }

    fn read_spec(&mut self) {
        let spec = self.shell.spec.borrow_and_update().clone();
        match &spec.part {
            Part::Agent(part) => self.desired = Desired::read(spec.generation, part),
            // The shell takes no other role's spec.
            Part::Server(_) | Part::Balancer(_) => tracing::error!("the spec is no agent's; ignored"),
        }
        for name in self.desired.wanted.keys() {
            self.measures.knows(name);
        }
        self.measures.follows(self.desired.generation);
    }

    /// Does all that is to be done now; returns when to look again at the latest.
    async fn turn(&mut self, soft_stop_ms: u64, state: ProcessState) -> Instant {
        loop {
            let world = self.look().await;
            let now = self.now();
            let plan = plan(&self.desired.wanted, &self.ledger, &world, soft_stop_ms, now);
            if plan.steps.is_empty() {
                self.report(state, &world);
                let wait_ms = plan.wake_at.map_or(TIDY_INTERVAL.as_millis() as u64, |at| at.saturating_sub(now));
                return Instant::now() + Duration::from_millis(wait_ms);
            }
            let mut ledger = self.ledger.clone();
            for (name, step) in &plan.steps {
                ledger.record(name, step, now);
            }
            if let Err(error) = self.file.write(&ledger) {
                tracing::error!(%error, "can't write the ledger; nothing is started or stopped until it works");
                self.problem = Some(format!("can't write the ledger: {error}"));
                self.report(state, &world);
                return Instant::now() + Duration::from_millis(LEDGER_AGAIN_MS);
            }
            self.problem = None;
            self.ledger = ledger;
            for (name, step) in &plan.steps {
                self.act(name, step).await;
            }
        }
    }

    async fn act(&mut self, name: &str, step: &Step) {
        tracing::info!(name, ?step, "reconciling");
        let done = match step {
            Step::Start { restart, .. } => match self.desired.instances.get(name) {
                Some(instance) => {
                    if *restart {
                        self.measures.restarts(name);
                    }
                    self.launcher.start(instance).await
                }
                None => Ok(()),
            },
            Step::SoftStop => self.launcher.stop(name, Stop::Soft).await,
            Step::HardStop => self.launcher.stop(name, Stop::Hard).await,
            Step::Adopt { .. } | Step::Crash { .. } | Step::Bury { .. } => Ok(()),
        };
        if let Err(error) = done {
            tracing::error!(name, ?step, %error, "a step failed; it is tried again");
        }
    }

    async fn look(&mut self) -> BTreeMap<String, Seen> {
        let names: BTreeSet<String> = self.desired.wanted.keys().chain(self.ledger.instances.keys()).cloned().collect();
        self.launcher.observe(&names).await
    }

    fn report(&self, state: ProcessState, world: &BTreeMap<String, Seen>) {
        let pid = |name: &String| match world.get(name) {
            Some(Seen::Running { pid }) => *pid,
            Some(Seen::Absent { .. }) | None => None,
        };
        let instances = self.ledger.instances.iter();
        let states: Vec<_> = instances.clone().map(|(_, instance)| instance.state()).collect();
        self.measures.count_states(&states);
        self.shell.readiness.set(state == ProcessState::Ready);
        let report = Report {
            applied_generation: self.desired.generation,
            state,
            problem: self.problem.clone().or_else(|| self.desired.problem.clone()),
            part: StatusPart::Agent(AgentStatus {
                host: self.shell.name.clone(),
                cpus: std::thread::available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX)),
                instances: instances.map(|(name, instance)| instance.status(name, pid(name))).collect(),
            }),
        };
        self.shell.report.send_if_modified(|current| {
            let changed = *current != report;
            *current = report;
            changed
        });
    }

    fn all_stopped(&self) -> bool {
        self.ledger.instances.values().all(|instance| instance.phase == Phase::Stopped)
    }

    /// ms on the agent's clock.
    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
