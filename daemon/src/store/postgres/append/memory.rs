//! What a server remembers of the logs that it wrote last, so that it can number
//! their next entries without asking: pure.
//!
//! ```text
//!               learn                            lost (somebody else wrote)
//!  unknown ───────────────> sure ────────────────────────────────────────> contested
//!     ^                      ^ └─ wrote, learn: further                       │    └─ learn, others in between: still
//!     │                      └──────────── learn, nobody in between ──────────┘
//!     └─ forget (an unknown outcome, a commit), or not used for long
//! ```
//!
//! **Why it is sound.** Every change of a log's members, roles or epoch is an entry,
//! so what was true of a log at a number is true as long as that is its last number.
//! Nothing is taken from memory unless the database finds, under the log's lock, the
//! last number (and roster version) that memory assumed. So a wrong memory costs a
//! statement and nothing else, and forgetting is always right.
//!
//! Accounts are remembered one by one, by what they appended: who did at this roster's
//! version belongs to it. A contested log is one that another server writes too: it is
//! not tried from memory until two of our own batches followed upon one another.

use crate::store::{
    Denied,
    logs::{Append, Appended},
};
use fastchat_wire::{AccountId, LogId};
use std::collections::{BTreeMap, HashMap};

#[cfg(test)]
mod tests;

/// Logs and accounts that are remembered, in each of two halves: some 20 MB in all at most.
pub(super) const HALF_MAX: usize = 1 << 16;

/// Memory, in two halves: what is used moves to the young one; when that is full the
/// old one is dropped and they change places.
#[derive(Debug)]
pub(super) struct Memory {
    young: HashMap<LogId, Known>,
    old: HashMap<LogId, Known>,
    /// Logs and accounts of the young half.
    young_size: usize,
    half_max: usize,
}

/// What is known of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    Sure(State),
    /// Others write it too. The last number that we wrote; 0 where it is not known.
    Contested {
        last_seq: u64,
    },
}

/// A log as it stood when `last_seq` was its last number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    last_seq: u64,
    members_seq: u64,
    /// Unknown until an entry of this epoch was taken.
    epoch: Option<u64>,
    /// Some of those who may append, in order.
    accounts: Vec<AccountId>,
}

/// What becomes of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Places in the batch with the numbers that they get, if their log's claim holds.
    pub(super) numbered: Vec<Numbered>,
    /// What must be so for them, each log once, in the order of ids: the order of locks.
    pub(super) claims: Vec<Claim>,
    /// Places that the locked path decides, in order. A log's are either all here or none.
    pub(super) asked: Vec<usize>,
}

/// An entry with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) place: usize,
    pub(super) seq: u64,
    /// The log's claim.
    pub(super) claim: usize,
}

/// What is assumed of a log, and what it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) log: LogId,
    pub(super) last_seq: u64,
    pub(super) members_seq: u64,
    /// The last number afterwards.
    pub(super) next_seq: u64,
}

/// What the locked path answered of one log's entries in one batch.
#[derive(Debug, Default)]
struct Lesson {
    first_seq: Option<u64>,
    last_seq: u64,
    members_seq: u64,
    epoch: Option<u64>,
    accounts: Vec<AccountId>,
    /// Those that send again what stands there: a batch with one of these fails.
    repeating: Vec<AccountId>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::bounded(HALF_MAX)
    }
}

impl Memory {
    /// Remembers at most twice so many logs and accounts, and one log's more.
    fn bounded(half_max: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            young_size: 0,
            half_max,
        }
    }

    /// Remembers nothing.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self::bounded(0)
    }

    /// Decides which of a batch's entries need not be asked for.
    pub(super) fn plan(&mut self, batch: &[Append]) -> Plan {
        let mut logs: BTreeMap<LogId, Vec<usize>> = BTreeMap::new();
        for (place, append) in batch.iter().enumerate() {
            logs.entry(append.log).or_default().push(place);
        }
        let mut plan = Plan::default();
        for (log, places) in logs {
            match self.recall(log) {
                Some(Known::Sure(state)) if places.iter().all(|place| state.allows(&batch[*place])) => {
                    let mut seq = state.last_seq;
                    let (last_seq, members_seq, claim) = (seq, state.members_seq, plan.claims.len());
                    for place in places {
                        seq += 1;
                        plan.numbered.push(Numbered { place, seq, claim });
                    }
                    plan.claims.push(Claim {
                        log,
                        last_seq,
                        members_seq,
                        next_seq: seq,
                    });
                }
                _ => plan.asked.extend(places),
            }
        }
        plan.asked.sort_unstable();
        plan
    }

    /// The claim held, and its entries were written.
    pub(super) fn wrote(&mut self, claim: &Claim) {
        // Unless somebody here was faster, who knows better.
        if let Some(Known::Sure(state)) = self.recall(claim.log)
            && (state.last_seq, state.members_seq) == (claim.last_seq, claim.members_seq)
        {
            state.last_seq = claim.next_seq;
        }
    }

    /// The claim did not hold: somebody else has written.
    pub(super) fn lost(&mut self, claim: &Claim) {
        self.keep(claim.log, Known::Contested { last_seq: 0 });
    }

    /// Takes up what the locked path answered.
    pub(super) fn learn<'a>(&mut self, answers: impl Iterator<Item = (&'a Append, &'a Result<Appended, Denied>)>) {
        let mut lessons: HashMap<LogId, Lesson> = HashMap::new();
        for (append, answer) in answers {
            lessons.entry(append.log).or_default().take(append, answer);
        }
        for (log, lesson) in lessons {
            self.take_up(log, lesson);
        }
    }

    /// Nobody knows what became of these.
    pub(super) fn forget(&mut self, logs: impl Iterator<Item = LogId>) {
        for log in logs {
            if let Some(known) = self.young.remove(&log) {
                self.young_size -= known.size();
            }
            self.old.remove(&log);
        }
    }

    fn take_up(&mut self, log: LogId, lesson: Lesson) {
        // Without a new entry it isn't known how far the log goes.
        let Some(first_seq) = lesson.first_seq else {
            return self.distrust(log, &lesson.repeating);
        };
        let last_seq = lesson.last_seq;
        let known = match self.recall(log).cloned() {
            None => Known::Sure(lesson.into_state()),
            Some(Known::Contested { last_seq: seen }) if seen > 0 && seen + 1 == first_seq => Known::Sure(lesson.into_state()),
            Some(Known::Contested { last_seq: seen }) => Known::Contested {
                last_seq: seen.max(last_seq),
            },
            // Late news.
            Some(Known::Sure(state)) if state.last_seq >= last_seq => return,
            Some(Known::Sure(state)) => Known::Sure(state.followed_by(first_seq, lesson)),
        };
        self.keep(log, known);
    }

    /// These have to be asked for.
    fn distrust(&mut self, log: LogId, repeating: &[AccountId]) {
        if let Some(Known::Sure(state)) = self.recall(log).cloned() {
            self.keep(log, Known::Sure(state.without(repeating)));
        }
    }

    /// Finds a log, which so becomes one that was used.
    fn recall(&mut self, log: LogId) -> Option<&mut Known> {
        if let Some(known) = self.old.remove(&log) {
            self.keep(log, known);
        }
        self.young.get_mut(&log)
    }

    fn keep(&mut self, log: LogId, known: Known) {
        self.forget(std::iter::once(log));
        if self.half_max == 0 {
            return;
        }
        if self.young_size >= self.half_max {
            self.old = std::mem::take(&mut self.young);
            self.young_size = 0;
        }
        self.young_size += known.size();
        self.young.insert(log, known);
    }
}

impl Known {
    /// What it counts against the bound.
    fn size(&self) -> usize {
        match self {
            Self::Sure(state) => 1 + state.accounts.len(),
            Self::Contested { .. } => 1,
        }
    }
}

impl State {
    fn allows(&self, append: &Append) -> bool {
        self.accounts.binary_search(&append.account).is_ok() && append.epoch.is_none_or(|epoch| Some(epoch) == self.epoch)
    }

    /// As it stands after a batch of the locked path.
    fn followed_by(self, first_seq: u64, lesson: Lesson) -> Self {
        // What came in between may have been a commit.
        let epoch = self.epoch.filter(|_| self.last_seq + 1 == first_seq);
        let before = if self.members_seq == lesson.members_seq {
            self.without(&lesson.repeating).accounts
        } else {
            Vec::new()
        };
        let mut state = lesson.into_state();
        state.epoch = state.epoch.or(epoch);
        state.accounts.extend(before);
        state.accounts.sort_unstable();
        state.accounts.dedup();
        state
    }

    fn without(mut self, accounts: &[AccountId]) -> Self {
        self.accounts.retain(|account| !accounts.contains(account));
        self
    }
}

impl Lesson {
    fn take(&mut self, append: &Append, answer: &Result<Appended, Denied>) {
        match answer {
            Ok(appended) if appended.duplicate => self.repeating.push(append.account),
            Ok(appended) => {
                self.first_seq.get_or_insert(appended.seq);
                self.last_seq = appended.seq;
                self.members_seq = appended.members_seq;
                self.epoch = append.epoch.or(self.epoch);
                self.accounts.push(append.account);
            }
            Err(Denied::EpochConflict { current }) => self.epoch = Some(*current),
            Err(_) => {}
        }
    }

    fn into_state(self) -> State {
        let mut accounts = self.accounts;
        accounts.retain(|account| !self.repeating.contains(account));
        accounts.sort_unstable();
        accounts.dedup();
        State {
            last_seq: self.last_seq,
            members_seq: self.members_seq,
            epoch: self.epoch,
            accounts,
        }
    }
}
