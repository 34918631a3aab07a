//! The store on SQLite: one host, nothing to install.
//!
//! Reads go to a small pool and see the last committed state; each write is one
//! transaction, in turn with every other writer on the host (`fastchat-schema`).
//! What a request may do is decided by [`super::rules`] inside of it.

mod accounts;
mod append;
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

use super::{Result, Store, SweepStore};
use async_trait::async_trait;
use fastchat_schema::Database;

/// The store on SQLite.
#[derive(Debug, Clone)]
pub(crate) struct SqliteStore {
    database: Database,
}

impl SqliteStore {
    /// A store on an open database.
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn store_id(&self) -> Result<String> {
        Ok(self.database.store_id().to_owned())
    }

    async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT id FROM store").fetch_one(self.database.readers()).await?;
        Ok(())
    }

    fn sweep(&self) -> &dyn SweepStore {
        &self.database
    }

    fn append_lanes(&self) -> usize {
        // It has one writer.
        1
    }
}
