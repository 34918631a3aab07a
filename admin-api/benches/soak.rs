//! A long storm: fleets whose members are killed at random under load, for as long as one likes.
//!
//! ```text
//!  make soak                                     half an hour
//!  make soak ARGS="--minutes 600 --seed 7"       a night, by the plan of a seed
//! ```
//!
//! All kinds of fleets are tormented at once. Every kill is told, and every ten seconds how the load goes. At the end
//! each fleet's evidence is judged; what is wrong is told with the seed and the record, and the exit code is 1.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "it is a test for people who wait: it tells how it goes, and its panic is its failure"
)]

/// What starts fleets and torments them in the tests, too.
#[expect(dead_code, reason = "tests use the rest of it")]
#[path = "../tests/fleet"]
mod fleet {
    pub(crate) mod chaos;
    pub(crate) mod generator;
    pub(crate) mod harness;
    pub(crate) mod rest;
}

use clap::Parser;
use fastchat_schema_testing::Server;
use fastchatd_testing::NatsServer;
use fleet::{
    chaos::{plan::Victim, storm::Storm, victims::Service},
    harness::Fleet,
};
use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

/// Lines of progress that come between two that are shown.
const SHOWN_EVERY: u64 = 10;

#[derive(Debug, Parser)]
struct Args {
    /// How long members are killed
    #[arg(long, default_value_t = 30.0, value_name = "MINUTES", value_parser = minutes)]
    minutes: f64,
    /// The plan of a seed instead of a new one
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Longest pause between two kills, in seconds
    #[arg(long, default_value_t = 8, value_name = "SECONDS")]
    pause_max: u64,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse().ok().filter(|minutes: &f64| (0.1..=100_000.0).contains(minutes));
    minutes.ok_or_else(|| "give minutes, as in 30 or 0.5".to_owned())
}

/// A kind of fleet.
struct Kind {
    name: &'static str,
    /// Starts one and torments it: what is wrong at the end.
    torment: fn(&Soak<'_>) -> Vec<String>,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "sqlite, mesh",
        torment: |soak| soak.torment(&Fleet::start(), BTreeMap::new()),
    },
    Kind {
        name: "postgresql, nats",
        torment: |soak| {
            let (database, broker) = (Server::start(), NatsServer::start());
            let fleet = Fleet::start_with(&["--database", &database.url("postgres"), "--bus", &broker.url()]);
            let broker = Mutex::new(broker);
            let services: [(Victim, &dyn Service); 2] = [(Victim::Database, &database), (Victim::Bus, &broker)];
            soak.torment(&fleet, services.into())
        },
    },
];

fn main() -> ExitCode {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(rand::random);
    println!("soak: {} minutes; --seed {seed} repeats this plan", args.minutes);
    let complaints = std::thread::scope(|scope| {
        let storms = KINDS.map(|kind| {
            let (told, lines) = channel();
            scope.spawn(move || show(kind.name, &lines));
            let soak = Soak { args: &args, seed, told };
            (kind.name, scope.spawn(move || (kind.torment)(&soak)))
        });
        let ended = storms.into_iter().flat_map(|(name, storm)| {
            let complaints = storm.join().unwrap_or_else(|_| vec!["it panicked: see above".to_owned()]);
            complaints.into_iter().map(move |complaint| format!("{name}: {complaint}"))
        });
        ended.collect::<Vec<_>>()
    });
    for complaint in &complaints {
        println!("WRONG  {complaint}");
    }
    if complaints.is_empty() {
        println!("soak: nothing was lost, doubled or out of order");
        return ExitCode::SUCCESS;
    }
    println!("soak: --seed {seed} repeats this plan");
    ExitCode::FAILURE
}

/// What every kind is told.
struct Soak<'a> {
    args: &'a Args,
    seed: u64,
    told: Sender<String>,
}

impl Soak<'_> {
    /// One fleet's storm: what is wrong at the end.
    fn torment(&self, fleet: &Fleet, services: BTreeMap<Victim, &dyn Service>) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let storm = Storm {
            fleet,
            services,
            seed: self.seed,
            pause_max: Duration::from_secs(self.args.pause_max),
            told: self.told.clone(),
        };
        let (began, time) = (Instant::now(), Duration::from_secs_f64(self.args.minutes * 60.0));
        let blows = storm.plan().take_while(|_| began.elapsed() < time);
        let outcome = storm.pass(blows, folder.path());
        for line in outcome.summary().lines() {
            // Who shows it ends after us.
            let _ = self.told.send(line.to_owned());
        }
        let mut complaints = outcome.complaints(fleet);
        if !complaints.is_empty() {
            let kept = folder.keep().join("record.json");
            complaints.push(format!("`fastchat-load check --replay {}` judges it again", kept.display()));
        }
        complaints
    }
}

/// Shows what is told, until nobody tells any more.
fn show(kind: &str, lines: &Receiver<String>) {
    let mut seconds = 0;
    for line in lines {
        if line.starts_with("measuring") {
            seconds += 1;
            if seconds % SHOWN_EVERY != 0 {
                continue;
            }
        }
        println!("{kind:<16}  {line}");
    }
}
