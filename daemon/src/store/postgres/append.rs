//! `append`: the hot path.
//!
//! ```text
//!  batch ── memory.plan ──┬─ known logs ──> from_memory: one statement, numbers from memory
//!                         │                     │ somebody else wrote; an entry stands there already
//!                         │                     v
//!                         └─ the others ──> locked: `append_batch` decides ──> memory.learn
//! ```
//!
//! Either way a log's rows of a batch go all or none, under the lock of the log's row.
//! The connections are held ([`HeldConnections`]): each statement is one round trip.

mod from_memory;
mod locked;
mod memory;
mod paths;
#[cfg(test)]
mod tests;

pub(crate) use paths::AppendPaths;

use super::ATTEMPTS_MAX;
use crate::store::{
    Denied, Result,
    logs::{Append, Appended},
    values,
};
use fastchat_schema::{HeldConnections, PostgresDatabase};
use fastchat_wire::LogId;
use memory::{Memory, Numbered, Plan};
use std::sync::{Mutex, MutexGuard, PoisonError};

type Answer = std::result::Result<Appended, Denied>;

/// Batches that are written at once, each on a connection of its own.
pub(super) const LANES: usize = 2;

/// A batch is small beside the tables: always by index, in the given order, by a plan that is made once.
const SET_UP: &str = "
    SELECT set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
           set_config('enable_mergejoin', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false)";

/// Appends, and what is remembered between them.
#[derive(Debug)]
pub(super) struct Appends {
    connections: HeldConnections,
    memory: Mutex<Memory>,
    paths: AppendPaths,
}

impl Appends {
    pub(super) fn new(database: &PostgresDatabase, paths: AppendPaths) -> Self {
        Self {
            connections: database.hold(LANES, SET_UP),
            memory: Mutex::default(),
            paths,
        }
    }

    #[cfg(test)]
    pub(super) fn forgetful(database: &PostgresDatabase, paths: AppendPaths) -> Self {
        Self {
            memory: Mutex::new(Memory::none()),
            ..Self::new(database, paths)
        }
    }

    /// Appends a batch.
    pub(super) async fn append(&self, batch: &[Append]) -> Result<Vec<Answer>> {
        let plan = self.memory().plan(batch);
        let mut answers: Vec<Option<Answer>> = vec![None; batch.len()];
        let mut asked = plan.asked.clone();
        if !plan.claims.is_empty() {
            asked.extend(self.append_from_memory(batch, &plan, &mut answers).await?);
            asked.sort_unstable();
        }
        if !asked.is_empty() {
            self.ask(batch, &asked, &mut answers).await?;
        }
        let missing = || values::inconsistent("an append without an answer".to_owned());
        answers.into_iter().map(|answer| answer.ok_or_else(missing)).collect()
    }

    /// Something else was written to a log, or nobody knows: its next append is asked for.
    pub(super) fn forget(&self, log: LogId) {
        self.memory().forget(std::iter::once(log));
    }

    /// Appends what the plan has numbered. Answers the places that must be asked for after all.
    async fn append_from_memory(&self, batch: &[Append], plan: &Plan, answers: &mut [Option<Answer>]) -> Result<Vec<usize>> {
        let mut connection = self.connections.take().await?;
        let outcome = from_memory::append(connection.get(), batch, plan).await;
        let holds = match connection.settle(outcome) {
            Ok(holds) => self.note(plan, holds),
            // An entry stands there already, or a deadlock: nothing of any was written, and memory is as good as before.
            Err(error) if error.is_taken() || error.is_rolled_back() => vec![false; plan.claims.len()],
            Err(error) => {
                self.memory().forget(plan.claims.iter().map(|claim| claim.log));
                return Err(error.into());
            }
        };
        let (written, again) = plan
            .numbered
            .iter()
            .partition::<Vec<&Numbered>, _>(|numbered| holds[numbered.claim]);
        self.paths.numbered(written.len(), again.len());
        for numbered in written {
            answers[numbered.place] = Some(Ok(Appended {
                seq: numbered.seq,
                at: batch[numbered.place].at,
                duplicate: false,
                members_seq: plan.claims[numbered.claim].members_seq,
            }));
        }
        Ok(again.into_iter().map(|numbered| numbered.place).collect())
    }

    fn note(&self, plan: &Plan, holds: Vec<bool>) -> Vec<bool> {
        let mut memory = self.memory();
        for (claim, held) in plan.claims.iter().zip(&holds) {
            if *held {
                memory.wrote(claim);
            } else {
                memory.lost(claim);
            }
        }
        holds
    }

    /// Has the database decide.
    async fn ask(&self, batch: &[Append], asked: &[usize], answers: &mut [Option<Answer>]) -> Result<()> {
        let entries: Vec<&Append> = asked.iter().map(|place| &batch[*place]).collect();
        let outcome = self.append_locked(&entries).await;
        let decided = match outcome {
            Ok(decided) => decided,
            Err(error) => {
                self.memory().forget(entries.iter().map(|append| append.log));
                return Err(error);
            }
        };
        self.paths.locked(decided.len());
        self.memory().learn(entries.into_iter().zip(&decided));
        for (place, answer) in asked.iter().zip(decided) {
            answers[*place] = Some(answer);
        }
        Ok(())
    }

    async fn append_locked(&self, entries: &[&Append]) -> Result<Vec<Answer>> {
        let mut attempts = 1;
        loop {
            let mut connection = self.connections.take().await?;
            let outcome = locked::append(connection.get(), entries).await;
            match connection.settle(outcome) {
                Ok(rows) => return locked::answers(&rows, entries.len()),
                Err(error) if attempts < ATTEMPTS_MAX && error.is_rolled_back() => attempts += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
