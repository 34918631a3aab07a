//! Opens whichever kind of database a URL names.

use crate::{Database, OpenError, PostgresDatabase, url::Place};

/// An open database of either kind.
#[derive(Debug, Clone)]
pub enum Opened {
    /// A file on this host.
    Sqlite(Database),
    /// A server.
    Postgres(PostgresDatabase),
}

/// Opens a database that exists and whose schema this program knows. Needs a tokio runtime.
///
/// # Errors
/// There is none, it isn't ours, its schema isn't known to this program, or it can't be reached.
pub async fn open(url: &str) -> Result<Opened, OpenError> {
    Ok(match Place::parse(url)? {
        Place::Sqlite(_) => Opened::Sqlite(Database::open(url).await?),
        Place::Postgres(place) => Opened::Postgres(PostgresDatabase::open(&place).await?),
    })
}
