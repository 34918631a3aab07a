//! The store on PostgreSQL: any number of servers on any number of hosts.
//!
//! ```text
//!  a read     one statement, or one snapshot
//!  a write    one transaction: lock (lock.rs), then read what stands now, decide by
//!             super::rules, write; READ COMMITTED, so that each statement sees what
//!             was committed while the lock was waited for
//!  append     the same in one call of a function that the schema defines, unless this
//!             server wrote the log last: then with numbers from memory (append.rs)
//! ```
//!
//! Nothing is written on the strength of a read from before its lock, and a
//! conflict is an answer, never something to pass over.

mod accounts;
mod append;
mod arrivals;
mod blobs;
mod change;
mod commit;
mod conversations;
mod create;
mod fetch;
mod grant;
mod group_info;
mod insert;
mod keys;
mod leave;
mod lock;
mod logs;
mod mark;
mod members;
mod sessions;
mod state;
mod sweep;
#[cfg(test)]
mod tests;
mod trim;
mod values;

pub(crate) use append::AppendPaths;

use super::{Result, Store, StoreError, SweepStore};
use append::Appends;
use arrivals::Arrivals;
use async_trait::async_trait;
use fastchat_schema::{DatabaseError, PostgresDatabase};

/// The store on PostgreSQL.
#[derive(Debug)]
pub(crate) struct PostgresStore {
    database: PostgresDatabase,
    arrivals: Arrivals,
    appends: Appends,
}

impl PostgresStore {
    /// A store on an open database.
    pub(crate) fn new(database: PostgresDatabase, paths: AppendPaths) -> Self {
        Self {
            arrivals: Arrivals::new(&database),
            appends: Appends::new(&database, paths),
            database,
        }
    }

    /// One that remembers nothing: each append is asked for.
    #[cfg(test)]
    fn forgetful(database: PostgresDatabase, paths: AppendPaths) -> Self {
        Self {
            arrivals: Arrivals::new(&database),
            appends: Appends::forgetful(&database, paths),
            database,
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn store_id(&self) -> Result<String> {
        Ok(self.database.store_id().to_owned())
    }

    async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT id FROM store").fetch_one(self.database.pool()).await?;
        Ok(())
    }

    fn sweep(&self) -> &dyn SweepStore {
        &self.database
    }

    fn append_lanes(&self) -> usize {
        append::LANES
    }
}

/// How often something is tried that somebody else crosses at the same moment.
const ATTEMPTS_MAX: usize = 3;

/// Does something that looks whether a name or id is taken, then takes it. Where
/// somebody else came between, nothing was written: it looks again.
async fn again_if_taken<T, F: Future<Output = Result<T>>>(attempt: impl Fn() -> F) -> Result<T> {
    for _ in 1..ATTEMPTS_MAX {
        match attempt().await {
            Err(StoreError::Internal(error)) if error.downcast_ref().is_some_and(DatabaseError::is_taken) => {}
            outcome => return outcome,
        }
    }
    attempt().await
}
