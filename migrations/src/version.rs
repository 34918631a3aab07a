//! Which schema a database has, and whether this program may work on it.

use crate::{Columns, OpenError, known_version};
use sqlx::{Row, SqliteConnection};

/// What a database says of its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SchemaVersion {
    /// The last migration that was applied; 0 before the first.
    pub(crate) version: i64,
    /// The oldest version that a program must know to work on it.
    pub(crate) compatible_from: i64,
}

impl SchemaVersion {
    /// An empty database's.
    pub(crate) const NONE: Self = Self {
        version: 0,
        compatible_from: 0,
    };

    /// May a program that knows `known` migrate it? Not where it is too old for it.
    pub(crate) fn check_not_too_new(self, known: i64) -> Result<(), OpenError> {
        if self.version > known && self.compatible_from > known {
            return Err(OpenError::TooNew {
                found: self.version,
                compatible_from: self.compatible_from,
                known,
            });
        }
        Ok(())
    }

    /// May a program that knows `known` work on it?
    pub(crate) fn check(self, known: i64) -> Result<(), OpenError> {
        if self.version < known {
            return Err(OpenError::TooOld {
                found: self.version,
                known,
            });
        }
        self.check_not_too_new(known)
    }
}

/// Reads it; `None` where there are tables, but not ours.
pub(crate) async fn read(connection: &mut SqliteConnection) -> Result<Option<SchemaVersion>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT count(*) AS tables, coalesce(sum(name = 'schema_migrations'), 0) AS ours FROM sqlite_schema WHERE type = 'table'",
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

/// [`SchemaVersion::check`] with what this program knows.
pub(crate) fn check(found: SchemaVersion) -> Result<(), OpenError> {
    found.check(known_version())
}

/// The store's id and restore counter, from its row.
pub(crate) fn store_id(row: &impl Columns) -> Result<String, sqlx::Error> {
    let id = row.bytes("id")?.unwrap_or_default();
    let id = uuid::Uuid::from_slice(id).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(format!("{id}.{}", row.integer("restores")?.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_works_on_its_own_schema_and_on_newer_ones_that_allow_it() {
        let schema = |version, compatible_from| SchemaVersion { version, compatible_from };
        assert!(schema(3, 2).check(3).is_ok());
        assert!(schema(5, 3).check(3).is_ok());
        let too_old = SchemaVersion::NONE.check(3).unwrap_err().to_string();
        assert!(
            too_old.contains("schema 0") && too_old.contains("schema 3") && too_old.contains("migrate"),
            "{too_old}"
        );
        let too_new = schema(6, 4).check(3).unwrap_err().to_string();
        assert!(
            too_new.contains("schema 6") && too_new.contains("schema 3") && too_new.contains("newer version"),
            "{too_new}"
        );
    }
}
