//! Brings a PostgreSQL database's schema up to date.

use super::{PostgresPlace, check_durable, connect};
use crate::{DatabaseError, MIGRATIONS, Migrated, OpenError, known_version, version::SchemaVersion};
use sqlx::{Connection, PgConnection, Row};

/// The advisory lock of those who migrate: "fastchat" as a number.
const LOCK: i64 = 0x6661_7374_6368_6174;

/// Applies what the schema lacks, all or nothing.
pub(crate) async fn migrate(place: &PostgresPlace) -> Result<Migrated, OpenError> {
    let mut connection = connect(&place.options).await.map_err(OpenError::connecting)?;
    let migrated = migrate_on(&mut connection, place).await;
    drop(connection.close().await);
    migrated
}

async fn migrate_on(connection: &mut PgConnection, place: &PostgresPlace) -> Result<Migrated, OpenError> {
    check_durable(connection).await?;
    let mut transaction = connection.begin().await.map_err(DatabaseError::from)?;
    // A migration may take as long as it takes, and whoever comes second waits for it.
    sqlx::query("SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)")
        .execute(&mut *transaction)
        .await
        .map_err(DatabaseError::from)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await
        .map_err(DatabaseError::from)?;
    let found = read_version(&mut transaction)
        .await
        .map_err(DatabaseError::from)?
        .ok_or_else(|| OpenError::NotFastChat(place.to_string()))?;
    found.check_not_too_new(known_version())?;
    apply(&mut transaction, found).await.map_err(DatabaseError::from)?;
    transaction.commit().await.map_err(DatabaseError::from)?;
    Ok(Migrated {
        from: found.version,
        to: found.version.max(known_version()),
    })
}

/// Reads it; `None` where there are tables, but not ours.
pub(super) async fn read_version(connection: &mut PgConnection) -> Result<Option<SchemaVersion>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT count(*) AS tables, count(*) FILTER (WHERE tablename = 'schema_migrations') AS ours
         FROM pg_tables WHERE schemaname = current_schema()",
    )
    .fetch_one(&mut *connection)
    .await?;
    if row.try_get::<i64, _>("ours")? == 0 {
        let empty = row.try_get::<i64, _>("tables")? == 0;
        return Ok(empty.then_some(SchemaVersion::NONE));
    }
    let row = sqlx::query("SELECT version, compatible_from FROM schema_migrations ORDER BY version DESC LIMIT 1")
        .fetch_optional(connection)
        .await?;
    row.map_or(Ok(Some(SchemaVersion::NONE)), |row| {
        Ok(Some(SchemaVersion {
            version: row.try_get("version")?,
            compatible_from: row.try_get("compatible_from")?,
        }))
    })
}

async fn apply(connection: &mut PgConnection, found: SchemaVersion) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS schema_migrations (
            version         bigint NOT NULL PRIMARY KEY,
            name            text   NOT NULL,
            compatible_from bigint NOT NULL,
            applied_at      bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)
        )",
    )
    .execute(&mut *connection)
    .await?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found.version) {
        sqlx::raw_sql(migration.postgres).execute(&mut *connection).await?;
        sqlx::query("INSERT INTO schema_migrations (version, name, compatible_from) VALUES ($1, $2, $3)")
            .bind(migration.version)
            .bind(migration.name)
            .bind(migration.compatible_from)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query("INSERT INTO store (only_row, id) SELECT 1, $1 WHERE NOT EXISTS (SELECT 1 FROM store)")
        .bind(uuid::Uuid::now_v7().into_bytes().as_slice())
        .execute(connection)
        .await?;
    Ok(())
}
