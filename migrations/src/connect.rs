//! How every connection to SQLite is set up, and the files behind it.

use crate::{DatabaseError, OpenError, url::SqliteFiles};
use sqlx::{
    ConnectOptions, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::{File, OpenOptions},
    path::Path,
    time::Duration,
};

/// Connections that read.
const READERS: u32 = 4;

/// How long SQLite itself waits for a lock: for programs that do not take turns.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a read waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

fn options(database: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(false)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", "0")
        .disable_statement_logging()
}

/// The connection that writes. It also puts a new database into WAL mode.
pub(crate) async fn writer(database: &Path) -> Result<SqliteConnection, sqlx::Error> {
    options(database)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("cache_size", "-16384")
        .thread_name(|_| "sqlite-writer".to_owned())
        .connect()
        .await
}

/// The pool that reads, and only reads. Connects when first used.
pub(crate) fn readers(database: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .connect_lazy_with(
            options(database)
                .pragma("query_only", "1")
                .thread_name(|n| format!("sqlite-reader-{n}")),
        )
}

/// Opens (and makes) the lock file.
pub(crate) fn lock_file(files: &SqliteFiles) -> Result<File, OpenError> {
    writable(&files.lock())
}

/// Makes the database's file where there is none, readable by this user alone.
pub(crate) fn create_file(files: &SqliteFiles) -> Result<(), OpenError> {
    writable(&files.database).map(drop)
}

fn writable(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| OpenError::NotWritable {
        path: path.to_owned(),
        source,
    })
}

/// Tells a file that is no database from one that can't be used now.
pub(crate) fn refusal(files: &SqliteFiles, error: sqlx::Error) -> OpenError {
    let foreign = error
        .as_database_error()
        .and_then(crate::error::sqlite_code)
        .is_some_and(|code| code == crate::error::SQLITE_NOTADB);
    if foreign {
        OpenError::NotFastChat(files.database.display().to_string())
    } else {
        DatabaseError::from(error).into()
    }
}
