//! The store on SQLite: one host, nothing to install.
//!
//! Reads go to a small pool and see the last committed state; each write is one
//! transaction, in turn with every other writer on the host (`fastchat-schema`).
//! What a request may do is decided by [`super::rules`] inside of it.

use super::StoreError;
use fastchat_schema::{Database, DatabaseError};

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

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        if error.is_unavailable() {
            Self::Unavailable(error.into())
        } else {
            Self::Internal(error.into())
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        DatabaseError::from(error).into()
    }
}
