//! Creates a database and brings its schema up to date.

use crate::{
    DatabaseError, MIGRATIONS, OpenError, connect, known_version, postgres,
    turn::{self, Queue},
    url::{Place, SqliteFiles},
    version::{self, SchemaVersion},
    write::WriteTransaction,
};
use sqlx::SqliteConnection;
use tokio_util::task::TaskTracker;

/// What a migration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The schema before; 0 for a new database.
    pub from: i64,
    /// The schema now.
    pub to: i64,
}

/// Creates the database where there is none, and applies what its schema lacks,
/// all or nothing, under a lock. Again, or from two processes at
/// once, is the same. SQLite's folder, or the PostgreSQL database, must exist.
///
/// # Errors
/// The place isn't writable, the database isn't ours, or its schema is too new.
pub async fn migrate(url: &str) -> Result<Migrated, OpenError> {
    match Place::parse(url)? {
        Place::Sqlite(files) => migrate_sqlite(&files).await,
        Place::Postgres(place) => postgres::migrate(&place).await,
    }
}

async fn migrate_sqlite(files: &SqliteFiles) -> Result<Migrated, OpenError> {
    let queue = turn::queue(files.database.clone(), connect::lock_file(files)?);
    connect::create_file(files)?;
    let endings = TaskTracker::new();
    let migrated = migrate_in_turn(files, &queue, &endings).await;
    endings.close();
    endings.wait().await;
    migrated
}

async fn migrate_in_turn(files: &SqliteFiles, queue: &Queue, endings: &TaskTracker) -> Result<Migrated, OpenError> {
    let mut transaction = begin(files, queue, endings).await?;
    let found = version::read(&mut transaction)
        .await
        .map_err(|error| connect::refusal(files, error))?
        .ok_or_else(|| OpenError::NotFastChat(files.database.display().to_string()))?;
    found.check_not_too_new(known_version())?;
    apply(&mut transaction, found).await.map_err(DatabaseError::from)?;
    transaction.commit().await?;
    Ok(Migrated {
        from: found.version,
        to: found.version.max(known_version()),
    })
}

/// Begins, and says so where the file is no database at all.
async fn begin(files: &SqliteFiles, queue: &Queue, endings: &TaskTracker) -> Result<WriteTransaction, OpenError> {
    let mut turn = turn::Turn::take(queue).await?;
    let connection = connect::writer(&files.database)
        .await
        .map_err(|error| connect::refusal(files, error))?;
    turn.keep(connection);
    drop(turn);
    Ok(WriteTransaction::begin(queue, endings).await?)
}

async fn apply(connection: &mut SqliteConnection, found: SchemaVersion) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS schema_migrations (
            version         INTEGER NOT NULL PRIMARY KEY,
            name            TEXT    NOT NULL,
            compatible_from INTEGER NOT NULL,
            applied_at      INTEGER NOT NULL DEFAULT (unixepoch('subsec') * 1000)
        ) STRICT",
    )
    .execute(&mut *connection)
    .await?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found.version) {
        sqlx::raw_sql(migration.sqlite).execute(&mut *connection).await?;
        sqlx::query("INSERT INTO schema_migrations (version, name, compatible_from) VALUES (?, ?, ?)")
            .bind(migration.version)
            .bind(migration.name)
            .bind(migration.compatible_from)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query("INSERT INTO store (only_row, id) SELECT 1, ? WHERE NOT EXISTS (SELECT 1 FROM store)")
        .bind(uuid::Uuid::now_v7().into_bytes().as_slice())
        .execute(connection)
        .await?;
    Ok(())
}
