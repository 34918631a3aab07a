//! What every mode has: the way in, accounts, counters, and the measured time.

use crate::{
    args::Common,
    book::{Account, Book},
    clock::Clock,
    descriptors,
    enter::{Door, Entrance},
    fleet::Fleet,
    interrupt::Interrupt,
    processes::{CpuSeconds, MemoryBytes, Role, Watched, named},
    progress::Progress,
    report::{Measured, Report},
    tally::Tally,
    trouble::Trouble,
    way::Way,
};
use std::{
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// What every mode has.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) clock: Clock,
    pub(crate) entrance: Rc<Entrance>,
    pub(crate) tally: Rc<Tally>,
    pub(crate) book: Book,
    pub(crate) fleet: Option<Rc<Fleet>>,
    pub(crate) progress: Progress,
    /// A part of the run failed so that it makes no sense to go on.
    pub(crate) broken: CancellationToken,
    watched: Watched,
    interrupt: Interrupt,
    cpu: (CpuSeconds, CpuSeconds),
    memory: MemoryBytes,
    /// The fleet's processes come and go.
    follows: bool,
}

/// A control plane that is asked while it is measured answers within this time, or is asked a second later.
const ANSWER: Duration = Duration::from_millis(500);

/// How long a mode runs.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Timing {
    /// How long to measure, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = crate::args::seconds)]
    pub(crate) seconds: f64,
    /// How long to run before that, in seconds; what happens then is not counted
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = crate::args::seconds)]
    pub(crate) warmup: f64,
}

impl Stage {
    /// Finds the fleet, its processes and the accounts; makes room for connections.
    ///
    /// # Errors
    /// Something of it is not there.
    pub(crate) async fn set(common: &Common, connections: usize) -> Result<Self, Trouble> {
        descriptors::make_room(connections)?;
        let way = Way::to(common.server.first().unwrap_or(&common.balancer), common)?;
        let door = if common.server.is_empty() {
            Door::Balancer(way.resolve(&common.balancer).await?)
        } else {
            let mut servers = Vec::new();
            for server in &common.server {
                servers.push(way.resolve(server).await?);
            }
            Door::Servers(servers)
        };
        let entrance = Entrance::new(door, way);
        let store = entrance.welcome().await?.store;
        let mut processes = common.pid.clone();
        let fleet = match (&common.admin_url, &common.token_file) {
            (Some(url), Some(file)) => Some(Rc::new(Fleet::new(url, file, common)?)),
            _ => None,
        };
        if let Some(fleet) = &fleet {
            processes.extend(fleet.processes().await?);
        }
        if common.database_pids {
            processes.extend(named("postgres", Role::Database));
        }
        Ok(Self {
            clock: Clock::start(),
            entrance: Rc::new(entrance),
            tally: Rc::new(Tally::new()),
            book: Book::open(common.accounts.as_deref(), &store)?,
            fleet,
            progress: Progress::new(common.progress),
            broken: CancellationToken::new(),
            watched: Watched::new(processes)?,
            interrupt: common.interrupt.clone(),
            cpu: Default::default(),
            memory: MemoryBytes::default(),
            follows: false,
        })
    }

    /// The first `count` accounts of the book.
    ///
    /// # Errors
    /// They can't be registered.
    pub(crate) async fn accounts(&mut self, count: usize) -> Result<&mut [Account], Trouble> {
        let progress = &self.progress;
        let told = |have, want| progress.say(&format!("registering accounts: {have} of {want}"));
        self.book.have(count, &self.entrance, told).await
    }

    /// Private memory of the servers, in bytes; `None` where none is watched.
    pub(crate) fn server_memory(&self) -> Option<u64> {
        self.watched.memory().get(&Role::Servers).copied()
    }

    /// Processes that the fleet starts while it is measured are measured too.
    pub(crate) fn follow_processes(&mut self) {
        self.follows = true;
    }

    /// Lets the warm-up pass, then the time that is measured; a signal or a broken run ends it early.
    pub(crate) async fn measure(&mut self, timing: Timing) -> Measured {
        self.interrupt.can_end_early(true);
        let warm_up_ended_early = self.pass("warm-up", timing.warmup).await;
        self.tally.restart();
        self.progress.restart();
        self.cpu.0 = self.watched.cpu();
        let start = Instant::now();
        let interrupted = warm_up_ended_early || self.pass("measuring", timing.seconds).await;
        let time = start.elapsed();
        self.cpu.1 = self.watched.cpu();
        self.memory = self.watched.memory();
        self.interrupt.can_end_early(false);
        self.progress.end();
        Measured { time, interrupted }
    }

    /// Adds what the processes used while it was measured.
    pub(crate) fn with_processes(&self, report: Report) -> Report {
        report.with_cpu(&self.cpu.0, &self.cpu.1).with_memory(&self.memory)
    }

    /// Looks who is there, so that whoever is killed before the end is counted.
    async fn look_at_processes(&mut self) {
        let Some(fleet) = self.fleet.as_ref().filter(|_| self.follows) else {
            return;
        };
        if let Ok(Ok(processes)) = timeout(ANSWER, fleet.processes()).await {
            self.watched.follow(&processes);
        }
        self.watched.cpu();
    }

    /// True where it was ended early.
    async fn pass(&mut self, phase: &str, seconds: f64) -> bool {
        let start = Instant::now();
        let whole = Duration::from_secs_f64(seconds);
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(whole.saturating_sub(start.elapsed())) => return false,
                () = self.interrupt.asked() => return true,
                () = self.broken.cancelled() => return true,
                _ = ticks.tick() => {
                    self.look_at_processes().await;
                    self.progress.second(phase, start.elapsed().as_secs(), &self.tally);
                }
            }
        }
    }
}
