//! Opening and migrating, as an operator would meet it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use fastchat_schema::{Database, OpenError, known_version, migrate};
use std::path::Path;
use tempfile::TempDir;

fn url(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("fastchat.db").display())
}

async fn change(folder: &TempDir, sql: &'static str) {
    let database = Database::open(&url(folder)).await.unwrap();
    let mut transaction = database.write().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    database.close().await;
}

#[tokio::test]
async fn migrating_twice_is_once_and_keeps_the_store_id() {
    let folder = TempDir::new().unwrap();
    let first = migrate(&url(&folder)).await.unwrap();
    assert_eq!((first.from, first.to), (0, known_version()));
    let database = Database::open(&url(&folder)).await.unwrap();
    let id = database.store_id().to_owned();
    database.close().await;
    let second = migrate(&url(&folder)).await.unwrap();
    assert_eq!((second.from, second.to), (known_version(), known_version()));
    assert_eq!(Database::open(&url(&folder)).await.unwrap().store_id(), id);
    let (uuid, restores) = id.split_once('.').unwrap();
    assert_eq!(uuid::Uuid::parse_str(uuid).unwrap().get_version_num(), 7);
    assert_eq!(restores, "0");
}

#[tokio::test]
async fn migrating_from_several_sides_at_once_is_once() {
    let folder = TempDir::new().unwrap();
    let url = url(&folder);
    let all = futures_of(8, || async { migrate(&url).await.unwrap().from }).await;
    assert_eq!(all.iter().filter(|from| **from == 0).count(), 1, "{all:?}");
}

#[tokio::test]
async fn a_missing_database_is_named_and_not_made() {
    let folder = TempDir::new().unwrap();
    let error = Database::open(&url(&folder)).await.unwrap_err().to_string();
    assert!(error.contains("fastchat.db") && error.contains("migrate"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_one_clear_line() {
    let error = migrate("sqlite:/nonexistent/folder/fastchat.db").await.unwrap_err();
    assert!(matches!(error, OpenError::NotWritable { .. }));
    let text = error.to_string();
    assert!(text.contains("/nonexistent/folder") && !text.contains('\n'), "{text}");
}

#[tokio::test]
async fn other_files_are_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("fastchat.db");
    std::fs::write(&path, "a diary, and long enough to be mistaken for a database's header page").unwrap();
    for error in [
        migrate(&url(&folder)).await.unwrap_err(),
        Database::open(&url(&folder)).await.unwrap_err(),
    ] {
        assert!(matches!(error, OpenError::NotFastChat(_)), "{error}");
    }
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("a diary"));
}

#[tokio::test]
async fn somebody_elses_database_is_left_alone() {
    let folder = TempDir::new().unwrap();
    migrate(&url(&folder)).await.unwrap();
    change(&folder, "DROP TABLE schema_migrations").await;
    for error in [
        migrate(&url(&folder)).await.unwrap_err(),
        Database::open(&url(&folder)).await.unwrap_err(),
    ] {
        assert!(matches!(error, OpenError::NotFastChat(_)), "{error}");
    }
}

#[tokio::test]
async fn an_older_schema_is_refused_until_it_is_migrated() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("fastchat.db"), "").unwrap();
    let error = Database::open(&url(&folder)).await.unwrap_err();
    assert!(matches!(error, OpenError::TooOld { found: 0, .. }), "{error}");
    migrate(&url(&folder)).await.unwrap();
    Database::open(&url(&folder)).await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_worked_on_only_where_it_says_so() {
    let folder = TempDir::new().unwrap();
    migrate(&url(&folder)).await.unwrap();
    change(
        &folder,
        "INSERT INTO schema_migrations (version, name, compatible_from) VALUES (900, 'later', 1)",
    )
    .await;
    Database::open(&url(&folder)).await.unwrap().close().await;
    assert_eq!(migrate(&url(&folder)).await.unwrap().to, 900);
    change(&folder, "UPDATE schema_migrations SET compatible_from = 899 WHERE version = 900").await;
    for error in [
        Database::open(&url(&folder)).await.unwrap_err(),
        migrate(&url(&folder)).await.unwrap_err(),
    ] {
        assert!(
            matches!(
                error,
                OpenError::TooNew {
                    found: 900,
                    compatible_from: 899,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_on_the_host_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    migrate(&url(&folder)).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("fastchat.db")), 0o600);
    assert_eq!(mode(&folder.path().join("fastchat.db.lock")), 0o600);
}

/// Runs several of the same at once.
async fn futures_of<F: Future>(count: usize, mut make: impl FnMut() -> F) -> Vec<F::Output> {
    let futures: Vec<_> = (0..count).map(|_| make()).collect();
    futures::future::join_all(futures).await
}
