//! A storm: members of a running fleet are killed by a plan while `fastchat-load check` sends, and then has to prove
//! that nothing was lost.

use super::{
    plan::{Blow, FLEET, Plan, Victim},
    victims::{self, Service},
};
use crate::fleet::{
    generator::{Running, load},
    harness::{Fleet, walk},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::mpsc::Sender,
    thread::{Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

/// The load: enough that something is always on its way, and little enough for a machine that has to start processes too.
const CHECK: &str = "check --conversations 8 --members 3 --rate 150 --seconds 1000000 --settle 120";

/// A fleet, and what it stands on.
pub(crate) struct Storm<'a> {
    pub(crate) fleet: &'a Fleet,
    /// Database and broker, where they are servers of their own.
    pub(crate) services: BTreeMap<Victim, &'a dyn Service>,
    pub(crate) seed: u64,
    /// Longest pause between two blows.
    pub(crate) pause_max: Duration,
    /// Who wants to know how it goes.
    pub(crate) told: Sender<String>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Kills by victim.
    pub(crate) kills: BTreeMap<Victim, u64>,
    /// What `check` found and measured.
    pub(crate) figures: Value,
    code: Option<i32>,
}

impl Storm<'_> {
    /// The plan of the seed.
    pub(crate) fn plan(&self) -> Plan {
        let victims = FLEET.iter().chain(self.services.keys()).copied().collect();
        Plan::new(self.seed, victims, self.pause_max)
    }

    /// Deals the blows under load, lets everything come back, and has the evidence judged.
    /// `folder` is for accounts and the record.
    pub(crate) fn pass(&self, blows: impl Iterator<Item = Blow>, folder: &Path) -> Outcome {
        let mut check = load(self.fleet, folder, CHECK);
        check.arg("--record").arg(folder.join("record.json"));
        let told = self.told.clone();
        let mut check = Running::start(check, move |line| _ = told.send(line.to_owned()));
        check.wait_until_it_measures();
        let began = Instant::now();
        let mut kills = BTreeMap::new();
        std::thread::scope(|scope| {
            let mut returning = BTreeMap::new();
            for blow in blows {
                std::thread::sleep(blow.pause);
                let killed = self.deal(&blow, scope, &mut returning);
                let what = match &killed {
                    Some(name) => format!("killed {name}"),
                    None => format!("{}: dead already", blow.victim),
                };
                *kills.entry(blow.victim).or_insert(0) += u64::from(killed.is_some());
                let _ = self.told.send(format!("{:>7.1} s  {what}", began.elapsed().as_secs_f64()));
            }
        });
        // The last one who was killed is not the last thing that happens.
        std::thread::sleep(Duration::from_secs(1));
        check.interrupt();
        let (figures, code) = check.wait();
        Outcome { kills, figures, code }
    }

    /// One blow: the name of who was killed.
    fn deal<'scope>(
        &'scope self,
        blow: &Blow,
        scope: &'scope Scope<'scope, '_>,
        returning: &mut BTreeMap<Victim, ScopedJoinHandle<'scope, ()>>,
    ) -> Option<String> {
        let Some(service) = self.services.get(&blow.victim).copied() else {
            return victims::kill(self.fleet.data(), blow.victim, blow.which);
        };
        if let Some(returns) = returning.remove(&blow.victim) {
            returns.join().expect("it starts again");
        }
        service.kill();
        let away = blow.away;
        let returns = scope.spawn(move || {
            std::thread::sleep(away);
            service.start_again();
        });
        returning.insert(blow.victim, returns);
        Some(format!("{} for {:.1} s", blow.victim, away.as_secs_f64()))
    }
}

impl Outcome {
    /// What is wrong: with what was delivered, with what was measured, with the fleet's own logs. Nothing is best.
    pub(crate) fn complaints(&self, fleet: &Fleet) -> Vec<String> {
        let figures = &self.figures;
        let mut complaints = Vec::new();
        for key in ["missing", "duplicates", "out_of_order", "unacknowledged"] {
            if figures[key] != 0 {
                complaints.push(format!("{key}: {}", figures[key]));
            }
        }
        for finding in figures["findings"].as_array().into_iter().flatten() {
            complaints.push(finding.to_string());
        }
        for key in ["acknowledged", "delivered", "reconnects"] {
            if figures[key].as_u64().is_none_or(|count| count == 0) {
                complaints.push(format!("nothing was proved: {key} is {}", figures[key]));
            }
        }
        if self.code != Some(0) {
            complaints.push(format!("check ended with {:?}", self.code));
        }
        complaints.extend(panics(fleet.data()));
        complaints
    }

    /// What a person wants to know of it.
    pub(crate) fn summary(&self) -> String {
        let kills: Vec<_> = self.kills.iter().map(|(victim, count)| format!("{count} x {victim}")).collect();
        let figure = |key: &str| self.figures[key].clone();
        let shown = json!({
            "seconds": figure("seconds"), "sent": figure("sent"), "acknowledged": figure("acknowledged"), "delivered": figure("delivered"),
            "fetched": figure("fetched"), "reconnects": figure("reconnects"), "sent_again": figure("sent_again"),
            "send_to_deliver_us": figure("send_to_deliver_us"), "errors": figure("errors"),
        });
        format!("killed: {}\n{shown}", kills.join(", "))
    }
}

/// Lines of the fleet's logs that say that a process panicked: a kill is no reason for it.
fn panics(data: &Path) -> Vec<String> {
    let is_log = |path: &Path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("log"))
    };
    let mut found = Vec::new();
    for path in walk(data).into_iter().filter(|path| is_log(path)) {
        let log = std::fs::read(&path).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines = log.lines().filter(|line| line.contains("panicked at"));
        found.extend(lines.map(|line| format!("{}: {line}", path.display())));
    }
    found
}
