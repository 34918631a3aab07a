//! Memory against a real database, and against other servers on it.

use super::AppendPaths;
use crate::store::{
    Denied, Store, StoreError,
    conformance::{
        drafts::{NOW, append, append_many, append_one, commit, commit_accounts, committed, read_all, seqs},
        people::{Person, converse, register},
    },
    logs::Append,
    postgres::PostgresStore,
};
use fastchat_schema::{Opened, PostgresDatabase};
use fastchat_schema_testing::TestDatabase;
use fastchat_wire::{LogId, chat::create::ConversationKind::Group};
use prometheus::{IntCounterVec, Opts};
use std::sync::Arc;
use uuid::Uuid;

/// A server: its store, and what it counts.
struct Process {
    store: Arc<dyn Store>,
    paths: IntCounterVec,
}

impl Process {
    async fn start(database: &TestDatabase) -> Self {
        let paths = IntCounterVec::new(Opts::new("paths", "paths"), &["path"]).unwrap();
        let store = Arc::new(PostgresStore::new(connect(database).await, AppendPaths::new(&paths)));
        Self { store, paths }
    }

    /// Entries so far: from memory, locked, again.
    fn took(&self) -> [u64; 3] {
        AppendPaths::ALL.map(|path| self.paths.with_label_values(&[path]).get())
    }
}

async fn connect(database: &TestDatabase) -> PostgresDatabase {
    match fastchat_schema::open(&database.url()).await.unwrap() {
        Opened::Postgres(database) => database,
        Opened::Sqlite(_) => panic!("PostgreSQL was asked for"),
    }
}

/// A server that remembers a group of alice and bob, which has three entries.
async fn warm() -> (Process, TestDatabase, Person, Person, LogId) {
    let database = TestDatabase::migrated().await;
    let process = Process::start(&database).await;
    let (alice, bob) = (register(&process.store, "alice").await, register(&process.store, "bob").await);
    let log = converse(&process.store, &alice, Group, &[&bob]).await;
    let both = [append(&alice, log, "2"), append(&bob, log, "3")];
    for answer in process.store.append(&both).await.unwrap() {
        answer.unwrap();
    }
    assert_eq!(process.took(), [0, 2, 0]);
    (process, database, alice, bob, log)
}

#[tokio::test]
async fn what_a_server_wrote_last_it_numbers_from_memory() {
    let (process, _database, alice, bob, log) = warm().await;
    let other = converse(&process.store, &bob, Group, &[]).await;
    let batch = [append(&alice, log, "4"), append(&bob, other, "2"), append(&bob, log, "5")];
    let answers = process.store.append(&batch).await.unwrap();
    let numbers: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap())
        .map(|a| (a.seq, a.members_seq))
        .collect();
    assert_eq!(numbers, [(4, 1), (2, 1), (5, 1)]);
    assert_eq!(process.took(), [2, 3, 0]);
    let page = read_all(&process.store, log, bob.actor()).await;
    assert_eq!(seqs(&page.entries), [1, 2, 3, 4, 5]);
    let stored = &page.entries[3];
    assert_eq!(
        (stored.entry, stored.at, &*stored.kind, &stored.block[..]),
        (batch[0].entry, NOW, "app", &b"4"[..])
    );
    assert_eq!((stored.from, stored.device), (Some(alice.account), Some(alice.device)));
}

#[tokio::test]
async fn servers_that_take_turns_number_without_hole_or_double() {
    let (one, database, alice, bob, log) = warm().await;
    let other = Process::start(&database).await;
    let mut numbers = Vec::new();
    for round in 0..8 {
        // Each some entries of its own, so that it trusts its memory when the other comes.
        for (process, person) in [(&one, &alice), (&other, &bob)] {
            for _ in 0..1 + round % 4 * 4 {
                numbers.push(append_one(&process.store, append(person, log, "")).await.unwrap().seq);
            }
        }
    }
    let expected: Vec<_> = (4..4 + numbers.len() as u64).collect();
    assert_eq!(numbers, expected);
    for process in [&one, &other] {
        let [from_memory, _, again] = process.took();
        assert!(from_memory > 0 && again > 0, "{:?}", process.took());
    }
}

#[tokio::test]
async fn who_was_removed_on_another_server_is_refused_by_one_that_remembers_it() {
    let (process, database, alice, bob, log) = warm().await;
    let other = Process::start(&database).await;
    append_one(&process.store, append(&bob, log, "4")).await.unwrap();
    assert_eq!(process.took()[0], 1, "it is remembered");
    let removed = committed(&other.store, commit_accounts(&alice, log, 0, &[], &[&bob])).await;
    // With others that are still good, in one batch.
    let batch = [append(&alice, log, "still here"), append(&bob, log, "removed")];
    let answers = process.store.append(&batch).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().seq, removed.appended.seq + 2);
    assert_eq!(answers[0].as_ref().unwrap().members_seq, removed.appended.seq + 1);
    assert_eq!(answers[1], Err(Denied::NotMember));
    assert_eq!(process.took(), [1, 4, 2]);
}

#[tokio::test]
async fn an_epoch_that_another_server_left_is_refused_by_one_that_remembers_it() {
    let (process, database, alice, _bob, log) = warm().await;
    let other = Process::start(&database).await;
    let in_epoch = |epoch| Append {
        epoch: Some(epoch),
        ..append(&alice, log, "")
    };
    append_one(&process.store, in_epoch(0)).await.unwrap();
    append_one(&process.store, in_epoch(0)).await.unwrap();
    assert_eq!(process.took()[0], 1, "it is remembered");
    committed(&other.store, commit(&alice, log, 0)).await;
    let conflict = Err(Denied::EpochConflict { current: 1 });
    assert_eq!(append_one(&process.store, in_epoch(0)).await, conflict);
    assert_eq!(append_one(&process.store, in_epoch(1)).await.unwrap().seq, 7);
    // And one of its own.
    committed(&process.store, commit(&alice, log, 1)).await;
    assert_eq!(
        append_one(&process.store, in_epoch(1)).await,
        Err(Denied::EpochConflict { current: 2 })
    );
}

#[tokio::test]
async fn an_entry_that_stands_there_already_is_found_and_the_rest_of_its_batch_goes_in() {
    let (process, database, alice, bob, log) = warm().await;
    let sent = append(&alice, log, "once");
    let first = append_one(&process.store, sent.clone()).await.unwrap();
    let others = converse(&process.store, &bob, Group, &[]).await;
    append_many(&process.store, &bob, others, 1).await;
    let twice = append(&bob, log, "twice");
    let batch = [
        append(&bob, others, "3"),
        sent.clone(),
        twice.clone(),
        twice,
        append(&alice, log, "6"),
    ];
    let answers = process.store.append(&batch).await.unwrap();
    let found: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap())
        .map(|a| (a.seq, a.duplicate))
        .collect();
    assert_eq!(found, [(3, false), (first.seq, true), (5, false), (5, true), (6, false)]);
    assert_eq!(process.took()[2], 5, "all of the batch again");
    // A retry on another server, whose memory knows the log as well.
    let other = Process::start(&database).await;
    append_many(&other.store, &alice, log, 1).await;
    let again = append_one(&other.store, sent).await.unwrap();
    assert_eq!((again.seq, again.duplicate), (first.seq, true));
    assert_eq!(
        seqs(&read_all(&other.store, log, alice.actor()).await.entries),
        (1..=7).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn after_an_unknown_outcome_the_log_is_asked_for() {
    let (process, database, alice, _bob, log) = warm().await;
    append_one(&process.store, append(&alice, log, "4")).await.unwrap();
    let operator = connect(&database).await;
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .execute(operator.pool())
        .await
        .unwrap();
    let sent = append(&alice, log, "5");
    let before = process.took();
    let error = process.store.append(std::slice::from_ref(&sent)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let answers = loop {
        match process.store.append(std::slice::from_ref(&sent)).await {
            Ok(answers) => break answers,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error:?}"),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(answers[0].as_ref().unwrap().seq, 5);
    assert_eq!(process.took(), [before[0], before[1] + 1, before[2]]);
}

#[tokio::test]
async fn an_entry_beyond_the_counter_stops_both_paths_and_nothing_is_written() {
    let (process, database, alice, bob, log) = warm().await;
    let operator = connect(&database).await;
    sqlx::query("INSERT INTO entries (log_id, seq, at, kind, entry_id, block) VALUES ($1, 4, 0, 'app', $2, '')")
        .bind(log.0.as_slice())
        .bind(Uuid::now_v7().as_bytes().as_slice())
        .execute(operator.pool())
        .await
        .unwrap();
    let error = process.store.append(&[append(&alice, log, "4")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Internal(_)), "{error:?}");
    assert_eq!(process.took()[2], 1, "from memory first, then locked");
    assert_eq!(process.store.beyond(&[(log, 2)]).await.unwrap(), [(log, 3)]);
    drop(bob);
}
