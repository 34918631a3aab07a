//! Opens whichever kind of database a URL names.

use crate::{Database, OpenError, PostgresDatabase, url::Place, wait_for_server};

/// An open database of either kind.
#[derive(Debug, Clone)]
pub enum Opened {
    /// A file on this host.
    Sqlite(Database),
    /// A server.
    Postgres(PostgresDatabase),
}

/// Opens a database that exists and whose schema this program knows. Needs a tokio runtime. A PostgreSQL server that is away is
/// waited for, for 30 s at most.
///
/// # Errors
/// There is none, it isn't ours, its schema isn't known to this program, or it can't be reached.
pub async fn open(url: &str) -> Result<Opened, OpenError> {
    let place = Place::parse(url)?;
    wait_for_server(url).await;
    Ok(match place {
        Place::Sqlite(_) => Opened::Sqlite(Database::open(url).await?),
        Place::Postgres(place) => Opened::Postgres(PostgresDatabase::open(&place).await?),
    })
}
