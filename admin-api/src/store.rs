//! Where the desired state is kept: one trait, on SQLite and on PostgreSQL.
//!
//! Everything that changes together is one [`Change`], which stands whole or
//! not at all: the edits, the audit record, the answer to remember. A change is
//! based on a generation; where another one came first it is refused as
//! [`CommitError::Stale`], and whoever decided it decides again.

mod postgres;
mod rows;
mod sqlite;
#[cfg(test)]
pub(crate) mod tests;

use crate::audit::{Record, Row};
use crate::desired::{Edit, Fleet};
use crate::operation::{Operation, OperationState};
use async_trait::async_trait;
use fastchat_schema::{DatabaseError, OpenError, Opened};
use postgres::PostgresStore;
use sqlite::SqliteStore;
use std::sync::Arc;

/// The strategy of a new fleet.
const STRATEGY: &str = "least-load";
/// The name of a new fleet.
const CLUSTER: &str = "fastchat";

/// How long an Idempotency-Key is remembered (ms).
pub(crate) const RECEIPT_MS: u64 = 24 * 60 * 60 * 1_000;

/// A change, whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    /// The generation that it was decided on.
    pub(crate) based_on: u64,
    /// What changes. Any change of desired state makes one new generation.
    pub(crate) edits: Vec<Edit>,
    /// Who asked for it.
    pub(crate) audit: Option<Record>,
    /// What to answer to the same request again.
    pub(crate) receipt: Option<Receipt>,
}

/// The answer to a POST with an Idempotency-Key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Whose key it is.
    pub(crate) principal: String,
    /// The key.
    pub(crate) key: String,
    /// SHA-256 of the request.
    pub(crate) fingerprint: [u8; 32],
    /// HTTP status.
    pub(crate) status: u16,
    /// The `location` header.
    pub(crate) location: String,
    /// The body.
    pub(crate) body: String,
    /// ms since the Unix epoch.
    pub(crate) created_at: u64,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    /// Another change came first: decide again.
    #[error("another change came first")]
    Stale,
    /// The Idempotency-Key was used meanwhile: answer from its receipt.
    #[error("the Idempotency-Key was used meanwhile")]
    KeyUsed,
    /// The database can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The database can't be used, or holds what it should not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Try again.
    #[error("the database can't be used now: {0}")]
    Unavailable(#[source] DatabaseError),
    /// A fault of ours, or of whoever wrote into it.
    #[error("the database holds something unexpected: {0}")]
    Broken(String),
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        if error.is_unavailable() {
            Self::Unavailable(error)
        } else {
            Self::Broken(error.to_string())
        }
    }
}

/// A page of the audit log, with the row before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditPage {
    /// Hash of the row before.
    pub(crate) previous: crate::audit::Hash,
    /// In order.
    pub(crate) rows: Vec<Row>,
}

/// The control plane's part of the database.
#[async_trait]
pub(crate) trait ControlStore: Send + Sync {
    /// The desired state, whole.
    async fn fleet(&self) -> Result<Fleet, StoreError>;

    /// Makes a change durable; answers the generation from then on.
    async fn commit(&self, change: Change) -> Result<u64, CommitError>;

    /// The operation of that id.
    async fn operation(&self, id: &str) -> Result<Option<Operation>, StoreError>;

    /// The operations that have not ended, oldest first.
    async fn open_operations(&self) -> Result<Vec<Operation>, StoreError>;

    /// The trial that was asked for last, whether or not it has ended.
    async fn last_trial(&self) -> Result<Option<Operation>, StoreError>;

    /// How many operations are in each state.
    async fn operation_counts(&self) -> Result<Vec<(OperationState, u64)>, StoreError>;

    /// The receipt of a key that is younger than [`RECEIPT_MS`] at `now`.
    async fn receipt(&self, principal: &str, key: &str, now: u64) -> Result<Option<Receipt>, StoreError>;

    /// Appends records of denials to the audit log.
    async fn append_audit(&self, records: &[Record]) -> Result<(), StoreError>;

    /// At most `limit` rows of the audit log after `after`.
    async fn audit(&self, after: u64, limit: u32) -> Result<AuditPage, StoreError>;

    /// Ends its connections.
    async fn close(&self);
}

/// Why the control plane's database could not be opened; each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenStoreError {
    /// It is missing, foreign, or of an unknown schema.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its tables can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Creates and migrates the database as needed, and makes the fleet's own row once.
///
/// # Errors
/// The place can't be written or reached, the database isn't ours, or its schema is unknown.
pub(crate) async fn open(url: &str) -> Result<Arc<dyn ControlStore>, OpenStoreError> {
    fastchat_schema::migrate(url).await?;
    Ok(match fastchat_schema::open(url).await? {
        Opened::Sqlite(database) => Arc::new(SqliteStore::new(database).await?),
        Opened::Postgres(database) => Arc::new(PostgresStore::new(database).await?),
    })
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        DatabaseError::from(error).into()
    }
}
