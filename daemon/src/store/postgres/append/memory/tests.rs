//! Servers with memories of their own, on one database that only compares: what gets
//! in from memory is what the locked path would have let in, under the same number.

use super::*;
use bytes::Bytes;
use fastchat_wire::{DeviceId, EntryId};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeSet, sync::Arc};

const LOGS: u8 = 3;
const ACCOUNTS: u8 = 4;
const SERVERS: usize = 3;

fn log(n: u8) -> LogId {
    LogId([n; 16])
}

fn account(n: u8) -> AccountId {
    AccountId([n; 16])
}

fn append(log_number: u8, by: u8, epoch: Option<u64>) -> Append {
    Append {
        log: log(log_number),
        entry: EntryId([0; 16]),
        kind: Arc::from("app"),
        account: account(by),
        device: DeviceId([by; 16]),
        epoch,
        at: 0,
        block: Bytes::new(),
    }
}

/// A log as the database has it.
#[derive(Debug, Clone)]
struct Row {
    last_seq: u64,
    members_seq: u64,
    epoch: u64,
    members: BTreeSet<AccountId>,
}

impl Row {
    fn new() -> Self {
        Self {
            last_seq: 1,
            members_seq: 1,
            epoch: 0,
            members: (0..ACCOUNTS).map(account).collect(),
        }
    }

    /// What the locked path says, and does.
    fn decide(&mut self, append: &Append) -> Result<Appended, Denied> {
        if !self.members.contains(&append.account) {
            return Err(Denied::NotMember);
        }
        if append.epoch.is_some_and(|epoch| epoch != self.epoch) {
            return Err(Denied::EpochConflict { current: self.epoch });
        }
        self.last_seq += 1;
        Ok(Appended {
            seq: self.last_seq,
            at: append.at,
            duplicate: false,
            members_seq: self.members_seq,
        })
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A server plans a batch, as (log, account, epoch given).
    Plan { server: usize, batch: Vec<(u8, u8, bool)> },
    /// It carries out the plan, which may be old by now.
    Execute { server: usize },
    /// Somebody commits: the epoch moves.
    Commit { log: u8 },
    /// Somebody comes or goes.
    Member { log: u8, account: u8 },
    /// A server forgets.
    Forget { server: usize, log: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let batch = vec((0..LOGS, 0..ACCOUNTS, any::<bool>()), 1..6);
    let step = prop_oneof![
        6 => (0..SERVERS, batch).prop_map(|(server, batch)| Step::Plan { server, batch }),
        6 => (0..SERVERS).prop_map(|server| Step::Execute { server }),
        1 => (0..LOGS).prop_map(|log| Step::Commit { log }),
        1 => (0..LOGS, 0..ACCOUNTS).prop_map(|(log, account)| Step::Member { log, account }),
        1 => (0..SERVERS, 0..LOGS).prop_map(|(server, log)| Step::Forget { server, log }),
    ];
    vec(step, 1..120)
}

struct World {
    rows: Vec<Row>,
    memories: Vec<Memory>,
    planned: Vec<Option<(Vec<Append>, Plan)>>,
}

impl World {
    fn row(&mut self, log: LogId) -> &mut Row {
        &mut self.rows[usize::from(log.0[0])]
    }

    fn plan(&mut self, server: usize, batch: &[(u8, u8, bool)]) {
        let batch: Vec<Append> = batch
            .iter()
            .map(|(log, by, given)| append(*log, *by, given.then_some(self.rows[usize::from(*log)].epoch)))
            .collect();
        let plan = self.memories[server].plan(&batch);
        let mut places: Vec<usize> = plan
            .numbered
            .iter()
            .map(|numbered| numbered.place)
            .chain(plan.asked.iter().copied())
            .collect();
        places.sort_unstable();
        assert_eq!(places, (0..batch.len()).collect::<Vec<_>>(), "each entry goes one way");
        assert!(plan.claims.is_sorted_by(|one, other| one.log < other.log), "locks in one order");
        self.planned[server] = Some((batch, plan));
    }

    fn execute(&mut self, server: usize) {
        let Some((batch, plan)) = self.planned[server].take() else { return };
        let mut asked = plan.asked.clone();
        for (index, claim) in plan.claims.iter().enumerate() {
            let numbered = plan.numbered.iter().filter(|numbered| numbered.claim == index);
            let row = self.row(claim.log);
            if (row.last_seq, row.members_seq) == (claim.last_seq, claim.members_seq) {
                for numbered in numbered {
                    let decided = row.decide(&batch[numbered.place]).expect("let in from memory");
                    assert_eq!(decided.seq, numbered.seq);
                }
                assert_eq!(row.last_seq, claim.next_seq);
                self.memories[server].wrote(claim);
            } else {
                asked.extend(numbered.map(|numbered| numbered.place));
                self.memories[server].lost(claim);
            }
        }
        asked.sort_unstable();
        let decided: Vec<_> = asked
            .iter()
            .map(|place| {
                let append = &batch[*place];
                self.row(append.log).decide(append)
            })
            .collect();
        let answers = asked.iter().map(|place| &batch[*place]).zip(&decided);
        self.memories[server].learn(answers);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Plan { server, batch } => self.plan(*server, batch),
            Step::Execute { server } => self.execute(*server),
            Step::Commit { log } => {
                let row = &mut self.rows[usize::from(*log)];
                row.last_seq += 1;
                row.epoch += 1;
            }
            Step::Member { log, account: who } => {
                let row = &mut self.rows[usize::from(*log)];
                row.last_seq += 1;
                row.members_seq = row.last_seq;
                if !row.members.remove(&account(*who)) {
                    row.members.insert(account(*who));
                }
            }
            Step::Forget { server, log: number } => self.memories[*server].forget(std::iter::once(log(*number))),
        }
    }
}

proptest! {
    #[test]
    fn what_gets_in_from_memory_is_what_the_locked_path_would_let_in(steps in steps(), half_max in 1..40_usize) {
        let mut world = World {
            rows: (0..LOGS).map(|_| Row::new()).collect(),
            memories: (0..SERVERS).map(|_| Memory::bounded(half_max)).collect(),
            planned: (0..SERVERS).map(|_| None).collect(),
        };
        for step in &steps {
            world.step(step);
            for memory in &world.memories {
                let size: usize = memory.young.values().map(Known::size).sum();
                prop_assert_eq!(size, memory.young_size);
            }
        }
    }
}

/// One server's log, some rounds further.
fn rounds(memory: &mut Memory, row: &mut Row, count: usize) -> usize {
    let mut from_memory = 0;
    for _ in 0..count {
        let batch = [append(0, 0, None)];
        let plan = memory.plan(&batch);
        match plan.claims.first() {
            Some(claim) if claim.last_seq == row.last_seq => {
                row.last_seq += 1;
                memory.wrote(claim);
                from_memory += 1;
            }
            claim => {
                if let Some(claim) = claim {
                    memory.lost(claim);
                }
                let answer = row.decide(&batch[0]);
                memory.learn(std::iter::once((&batch[0], &answer)));
            }
        }
    }
    from_memory
}

#[test]
fn who_writes_alone_asks_once() {
    let (mut memory, mut row) = (Memory::default(), Row::new());
    assert_eq!(rounds(&mut memory, &mut row, 10), 9);
}

#[test]
fn servers_that_take_turns_on_a_log_stop_trying_from_memory() {
    let (mut one, mut other, mut row) = (Memory::default(), Memory::default(), Row::new());
    let mut from_memory = 0;
    for _ in 0..20 {
        from_memory += rounds(&mut one, &mut row, 1) + rounds(&mut other, &mut row, 1);
    }
    assert_eq!(from_memory, 0);
    let contested = Some(Known::Contested {
        last_seq: row.last_seq - 1,
    });
    assert_eq!(one.recall(log(0)).cloned(), contested, "it does not even try");
    // Alone again: one batch to see it, and from then on.
    assert_eq!(rounds(&mut other, &mut row, 10), 9);
}

#[test]
fn memory_is_bounded_and_keeps_what_is_used() {
    let mut memory = Memory::bounded(100);
    let name = |n: u32| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        LogId(id)
    };
    for n in 0..10_000 {
        for log in [name(0), name(n)] {
            let sent = Append { log, ..append(0, 0, None) };
            if memory.plan(std::slice::from_ref(&sent)).claims.is_empty() {
                let answer = Ok(Appended {
                    seq: 2,
                    at: 0,
                    duplicate: false,
                    members_seq: 1,
                });
                memory.learn(std::iter::once((&sent, &answer)));
                assert!(n == 0 || log != name(0), "forgotten, though it was used just before");
            }
        }
        assert!(memory.young.len() + memory.old.len() <= 102);
    }
}

#[test]
fn who_repeats_itself_is_asked_for() {
    let mut memory = Memory::default();
    let batch = [append(0, 0, None), append(0, 1, None), append(0, 0, None)];
    let new = |seq| Appended {
        seq,
        at: 0,
        duplicate: false,
        members_seq: 1,
    };
    let answers = [Ok(new(2)), Ok(new(3)), Ok(Appended { duplicate: true, ..new(2) })];
    memory.learn(batch.iter().zip(&answers));
    assert_eq!(memory.plan(&batch[..1]).asked, [0]);
    assert_eq!(memory.plan(&batch[1..2]).asked, [0; 0]);
}
