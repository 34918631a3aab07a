//! Writers take turns, and what a writer leaves behind is nothing or all.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use fastchat_schema::{Database, migrate};
use sqlx::Row;
use std::{fs::File, time::Duration};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(20);

async fn new_database() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite:{}", folder.path().join("fastchat.db").display());
    migrate(&url).await.unwrap();
    let database = Database::open(&url).await.unwrap();
    let mut transaction = database.write().await.unwrap();
    sqlx::raw_sql("CREATE TABLE numbers (number INTEGER NOT NULL)")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    (folder, url)
}

async fn insert_next(database: &Database) {
    let mut transaction = database.write().await.unwrap();
    let next: i64 = sqlx::query("SELECT coalesce(max(number), 0) + 1 FROM numbers")
        .fetch_one(&mut *transaction)
        .await
        .unwrap()
        .get(0);
    tokio::task::yield_now().await;
    sqlx::query("INSERT INTO numbers VALUES (?)")
        .bind(next)
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

async fn numbers(database: &Database) -> Vec<i64> {
    sqlx::query_scalar("SELECT number FROM numbers ORDER BY rowid")
        .fetch_all(database.readers())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_several_processes_take_turns() {
    let (_folder, url) = new_database().await;
    // Each opens files of its own, as separate processes do.
    let mut databases = Vec::new();
    for _ in 0..3 {
        databases.push(Database::open(&url).await.unwrap());
    }
    let mut tasks = tokio::task::JoinSet::new();
    for database in &databases {
        for _ in 0..4 {
            let database = database.clone();
            tasks.spawn(async move {
                for _ in 0..25 {
                    insert_next(&database).await;
                }
            });
        }
    }
    tasks.join_all().await;
    assert_eq!(numbers(&databases[0]).await, (1..=300).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing_and_frees_the_lock() {
    let (folder, url) = new_database().await;
    let database = Database::open(&url).await.unwrap();
    let other = Database::open(&url).await.unwrap();
    let mut transaction = database.write().await.unwrap();
    sqlx::query("INSERT INTO numbers VALUES (7)")
        .execute(&mut *transaction)
        .await
        .unwrap();
    assert!(lock_of(&folder).try_lock().is_err());
    drop(transaction);
    tokio::time::timeout(LONG, insert_next(&other)).await.unwrap();
    tokio::time::timeout(LONG, insert_next(&database)).await.unwrap();
    assert_eq!(numbers(&database).await, [1, 2]);
    assert!(lock_of(&folder).try_lock().is_ok());
}

/// Drops a writer's future after each number of polls that it can be dropped
/// after: at every await, in whatever state that finds it.
#[tokio::test]
async fn a_writer_cancelled_at_any_await_leaves_no_transaction_and_frees_the_lock() {
    let (folder, url) = new_database().await;
    let database = Database::open(&url).await.unwrap();
    let other = Database::open(&url).await.unwrap();
    let mut cancelled = 0;
    for round in 0..60 {
        if !poll_times(1 + round % 12, insert_next(&database)).await {
            cancelled += 1;
        }
        // Whatever it left, both this process and another one go on at once.
        tokio::time::timeout(LONG, insert_next(&database)).await.unwrap();
        tokio::time::timeout(LONG, insert_next(&other)).await.unwrap();
    }
    assert!(cancelled >= 10, "{cancelled}");
    let numbers = numbers(&database).await;
    assert_eq!(numbers, (1..=i64::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
    assert!(lock_of(&folder).try_lock().is_ok());
}

#[tokio::test]
async fn a_writer_cancelled_while_another_process_has_the_turn_does_not_take_it_later() {
    let (folder, url) = new_database().await;
    let database = Database::open(&url).await.unwrap();
    let lock = lock_of(&folder);
    lock.lock().unwrap();
    for _ in 0..3 {
        assert!(tokio::time::timeout(Duration::from_millis(20), database.write()).await.is_err());
    }
    lock.unlock().unwrap();
    tokio::time::timeout(LONG, insert_next(&database)).await.unwrap();
    assert_eq!(numbers(&database).await, [1]);
    assert!(lock.try_lock().is_ok());
}

#[tokio::test]
async fn readers_can_not_write_and_foreign_keys_hold() {
    let (_folder, url) = new_database().await;
    let database = Database::open(&url).await.unwrap();
    assert!(
        sqlx::query("INSERT INTO numbers VALUES (1)")
            .execute(database.readers())
            .await
            .is_err()
    );
    let mut transaction = database.write().await.unwrap();
    let orphan = sqlx::query("INSERT INTO devices (id, account_id, name, created_at) VALUES (zeroblob(16), zeroblob(16), '', 0)")
        .execute(&mut *transaction)
        .await;
    assert!(orphan.unwrap_err().as_database_error().unwrap().is_foreign_key_violation());
    transaction.rollback().await.unwrap();
}

#[tokio::test]
async fn an_acknowledged_commit_is_synced_and_the_write_ahead_log_is_bounded() {
    let (folder, url) = new_database().await;
    let database = Database::open(&url).await.unwrap();
    let mut transaction = database.write().await.unwrap();
    let pragma = |name: &'static str| sqlx::query_scalar::<_, i64>(name);
    assert_eq!(pragma("PRAGMA synchronous").fetch_one(&mut *transaction).await.unwrap(), 2);
    assert_eq!(pragma("PRAGMA wal_autocheckpoint").fetch_one(&mut *transaction).await.unwrap(), 0);
    transaction.rollback().await.unwrap();
    // 80 MiB of pages, well over the bound.
    for _ in 0..20 {
        let mut transaction = database.write().await.unwrap();
        sqlx::raw_sql("CREATE TABLE IF NOT EXISTS filler (data BLOB); INSERT INTO filler VALUES (zeroblob(4 << 20))")
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }
    let wal = folder.path().join("fastchat.db-wal");
    let shrunk = async {
        while std::fs::metadata(&wal).unwrap().len() > 64 << 20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG, shrunk).await.unwrap();
}

fn lock_of(folder: &TempDir) -> File {
    File::options()
        .read(true)
        .write(true)
        .open(folder.path().join("fastchat.db.lock"))
        .unwrap()
}

/// Polls a future at most so many times, then drops it; true where it finished.
async fn poll_times(times: usize, future: impl Future) -> bool {
    let mut future = Box::pin(future);
    let mut left = times;
    std::future::poll_fn(|context| {
        if future.as_mut().poll(context).is_ready() {
            return std::task::Poll::Ready(true);
        }
        left -= 1;
        if left == 0 {
            std::task::Poll::Ready(false)
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}
