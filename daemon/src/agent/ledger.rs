//! `agent/ledger.json`: what the agent has begun, written before it is done.
//!
//! Replaced whole and fsync'd at each change, so a crash leaves the one before or
//! the one after. Pure but for [`LedgerFile`].

use super::{
    reconcile::Step,
    state::{Instance, Phase},
};
use crate::atomic_file;
use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// Format of the file.
const VERSION: u32 = 1;
/// Tombstones that are kept; of more, those whose names come first go.
const TOMBSTONES_MAX: usize = 256;

/// What the agent has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    version: u32,
    /// By name.
    pub(crate) instances: BTreeMap<String, Instance>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            version: VERSION,
            instances: BTreeMap::new(),
        }
    }
}

impl Ledger {
    /// Writes one step down; `now` is ms on the agent's clock.
    pub(crate) fn record(&mut self, name: &str, step: &Step, now: u64) {
        match *step {
            Step::Start { role, epoch, restart } => match self.instances.get_mut(name) {
                Some(instance) => instance.starts(role, epoch, restart, now),
                None => {
                    self.instances.insert(name.to_owned(), Instance::new(role, epoch, now));
                }
            },
            Step::Adopt { role, epoch } => {
                let instance = self.instances.entry(name.to_owned());
                instance.or_insert_with(|| Instance::new(role, epoch, now)).phase = Phase::Running { since: now };
            }
            Step::Crash { ref exit } => self.change(name, |instance| instance.crashes(exit.clone(), now)),
            Step::SoftStop => self.change(name, |instance| instance.phase = Phase::Stopping { since: now, hard: false }),
            Step::HardStop => self.change(name, |instance| instance.phase = Phase::Stopping { since: now, hard: true }),
            Step::Bury { ref exit } => {
                self.change(name, |instance| {
                    instance.phase = Phase::Stopped;
                    if exit.is_some() {
                        instance.last_exit.clone_from(exit);
                    }
                });
                self.forget_the_oldest();
            }
        }
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Instance)) {
        if let Some(instance) = self.instances.get_mut(name) {
            change(instance);
        }
    }

    fn forget_the_oldest(&mut self) {
        let dead = |instance: &Instance| instance.phase == Phase::Stopped;
        let mut surplus = self
            .instances
            .values()
            .filter(|instance| dead(instance))
            .count()
            .saturating_sub(TOMBSTONES_MAX);
        self.instances.retain(|_, instance| {
            let goes = surplus > 0 && dead(instance);
            surplus -= usize::from(goes);
            !goes
        });
    }
}

/// The ledger's file.
#[derive(Debug)]
pub(crate) struct LedgerFile {
    path: PathBuf,
}

impl LedgerFile {
    /// The ledger below a host's data folder, and what stands in it.
    ///
    /// # Errors
    /// The folder can't be written, or the ledger isn't one of this version.
    pub(crate) fn open(data: &Path) -> anyhow::Result<(Self, Ledger)> {
        let path = data.join("agent").join("ledger.json");
        let folder = path.parent().unwrap_or(data);
        atomic_file::create_folder(folder).with_context(|| format!("can't create {}; check --data", folder.display()))?;
        let ledger = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ledger::default(),
            Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
            Ok(bytes) => {
                let advice = || {
                    format!(
                        "{} is damaged; move it away to go on: running instances of the spec are taken over",
                        path.display()
                    )
                };
                let ledger: Ledger = serde_json::from_slice(&bytes).with_context(advice)?;
                ensure!(
                    ledger.version == VERSION,
                    "{} has format {}, this version of fastchatd knows {VERSION}; use the version that wrote it",
                    path.display(),
                    ledger.version
                );
                ledger
            }
        };
        Ok((Self { path }, ledger))
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// The system's; what stood there stands still.
    pub(crate) fn write(&self, ledger: &Ledger) -> io::Result<()> {
        atomic_file::write(&self.path, &serde_json::to_vec_pretty(ledger)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::control::Role;

    fn start() -> Step {
        Step::Start {
            role: Role::Server,
            epoch: 1,
            restart: false,
        }
    }

    #[test]
    fn what_is_written_comes_back_with_its_times_counting_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut ledger) = LedgerFile::open(folder.path()).unwrap();
        ledger.record("s1", &start(), 500);
        ledger.record("s2", &start(), 600);
        ledger.record("s2", &Step::SoftStop, 700);
        file.write(&ledger).unwrap();
        let (_, read) = LedgerFile::open(folder.path()).unwrap();
        assert_eq!(read.instances["s1"].phase, Phase::Running { since: 0 });
        assert_eq!(read.instances["s2"].phase, Phase::Stopping { since: 0, hard: false });
    }

    #[test]
    fn a_crash_while_writing_leaves_the_ledger_before() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut ledger) = LedgerFile::open(folder.path()).unwrap();
        ledger.record("s1", &start(), 0);
        file.write(&ledger).unwrap();
        // What a crash between write and rename leaves.
        std::fs::write(folder.path().join("agent/ledger.json.new"), b"{\"version\":1,\"inst").unwrap();
        let (file, read) = LedgerFile::open(folder.path()).unwrap();
        assert_eq!(read, ledger);
        file.write(&read).unwrap();
        assert_eq!(LedgerFile::open(folder.path()).unwrap().1, ledger);
    }

    #[test]
    fn a_damaged_ledger_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("agent")).unwrap();
        std::fs::write(folder.path().join("agent/ledger.json"), b"{}").unwrap();
        let error = format!("{:#}", LedgerFile::open(folder.path()).unwrap_err());
        assert!(error.contains("move it away"), "{error}");
        std::fs::write(folder.path().join("agent/ledger.json"), b"{\"version\":9,\"instances\":{}}").unwrap();
        let error = format!("{:#}", LedgerFile::open(folder.path()).unwrap_err());
        assert!(error.contains("has format 9"), "{error}");
    }

    #[test]
    fn tombstones_are_bounded_and_the_living_are_never_forgotten() {
        let mut ledger = Ledger::default();
        ledger.record("a-living", &start(), 0);
        for i in 0..TOMBSTONES_MAX + 10 {
            let name = format!("s{i:04}");
            ledger.record(&name, &start(), 0);
            ledger.record(&name, &Step::SoftStop, 0);
            ledger.record(&name, &Step::Bury { exit: None }, 0);
        }
        assert_eq!(ledger.instances.len(), TOMBSTONES_MAX + 1);
        assert!(ledger.instances.contains_key("a-living") && ledger.instances.contains_key("s0265"));
    }
}
