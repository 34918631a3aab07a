//! The control plane's tables on SQLite.

mod edits;
mod log;

use super::{
    AuditPage, CLUSTER, Change, CommitError, ControlStore, RECEIPT_MS, Receipt, STRATEGY, StoreError,
    rows::{self, FleetRows, select},
};
use crate::audit::Record;
use crate::desired::{Edit, Fleet};
use crate::operation::{Operation, OperationState};
use async_trait::async_trait;
use fastchat_schema::Database;
use sqlx::{Connection, SqliteConnection};

/// The control plane's tables on SQLite.
pub(crate) struct SqliteStore {
    database: Database,
}

impl SqliteStore {
    /// A store on an open database; makes the fleet's own row once.
    pub(super) async fn new(database: Database) -> Result<Self, StoreError> {
        let store = Self { database };
        store.create_cluster().await?;
        Ok(store)
    }

    async fn create_cluster(&self) -> Result<(), StoreError> {
        let key: [u8; 32] = rand::random();
        let mut transaction = self.database.write().await?;
        sqlx::query("INSERT INTO cluster (id, name, fleet_key) VALUES (1, ?, ?) ON CONFLICT DO NOTHING")
            .bind(CLUSTER)
            .bind(key.as_slice())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO balancing (id, strategy, parameters, generation) VALUES (1, ?, '{}', 1) ON CONFLICT DO NOTHING")
            .bind(STRATEGY)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}

#[async_trait]
impl ControlStore for SqliteStore {
    async fn fleet(&self) -> Result<Fleet, StoreError> {
        let mut connection = self.database.readers().acquire().await?;
        // One transaction, so that all tables are of one generation.
        let mut transaction = connection.begin().await?;
        let fleet = FleetRows {
            cluster: sqlx::query(select::CLUSTER).fetch_one(&mut *transaction).await?,
            hosts: sqlx::query(select::HOSTS).fetch_all(&mut *transaction).await?,
            instances: sqlx::query(select::INSTANCES).fetch_all(&mut *transaction).await?,
            ordinals: sqlx::query(select::ORDINALS).fetch_one(&mut *transaction).await?,
            balancing: sqlx::query(select::BALANCING).fetch_one(&mut *transaction).await?,
            limits: sqlx::query(select::LIMITS).fetch_one(&mut *transaction).await?,
        };
        transaction.commit().await?;
        rows::fleet(&fleet, self.database.store_id())
    }

    async fn commit(&self, change: Change) -> Result<u64, CommitError> {
        let mut transaction = self.database.write().await.map_err(StoreError::from)?;
        match apply(&mut transaction, change).await {
            Ok(generation) => {
                transaction.commit().await.map_err(StoreError::from)?;
                Ok(generation)
            }
            Err(error) => {
                transaction.rollback().await.map_err(StoreError::from)?;
                Err(error)
            }
        }
    }

    async fn operation(&self, id: &str) -> Result<Option<Operation>, StoreError> {
        let row = sqlx::query("SELECT document FROM operations WHERE id = ?")
            .bind(id)
            .fetch_optional(self.database.readers())
            .await?;
        row.map(|row| rows::operation(&row)).transpose()
    }

    async fn open_operations(&self) -> Result<Vec<Operation>, StoreError> {
        let rows = sqlx::query(select::OPEN_OPERATIONS).fetch_all(self.database.readers()).await?;
        rows.iter().map(rows::operation).collect()
    }

    async fn last_trial(&self) -> Result<Option<Operation>, StoreError> {
        let row = sqlx::query(select::LAST_TRIAL).fetch_optional(self.database.readers()).await?;
        row.map(|row| rows::operation(&row)).transpose()
    }

    async fn operation_counts(&self) -> Result<Vec<(OperationState, u64)>, StoreError> {
        let rows = sqlx::query(select::OPERATION_COUNTS).fetch_all(self.database.readers()).await?;
        rows.iter().map(rows::operation_count).collect()
    }

    async fn receipt(&self, principal: &str, key: &str, now: u64) -> Result<Option<Receipt>, StoreError> {
        let row = sqlx::query(
            "SELECT principal, key, fingerprint, status, location, body, created_at FROM idempotency
             WHERE principal = ? AND key = ? AND created_at > ?",
        )
        .bind(principal)
        .bind(key)
        .bind(rows::integer(now.saturating_sub(RECEIPT_MS))?)
        .fetch_optional(self.database.readers())
        .await?;
        row.map(|row| rows::receipt(&row)).transpose()
    }

    async fn append_audit(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut transaction = self.database.write().await?;
        for record in records {
            log::append(&mut transaction, record).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn audit(&self, after: u64, limit: u32) -> Result<AuditPage, StoreError> {
        let rows = sqlx::query("SELECT seq, record, hash FROM audit WHERE seq >= ? ORDER BY seq LIMIT ?")
            .bind(rows::integer(after)?)
            .bind(i64::from(limit) + i64::from(after > 0))
            .fetch_all(self.database.readers())
            .await?;
        rows::audit_page(&rows, after)
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

/// One change, within its transaction; answers the generation from then on.
async fn apply(connection: &mut SqliteConnection, change: Change) -> Result<u64, CommitError> {
    let current = generation(connection).await?;
    if current != change.based_on {
        return Err(CommitError::Stale);
    }
    let changes = change.edits.iter().any(Edit::changes_desired_state);
    let generation = current + u64::from(changes);
    if changes {
        let next = rows::integer(generation)?;
        sqlx::query("UPDATE cluster SET generation = ?")
            .bind(next)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::from)?;
    }
    for edit in &change.edits {
        edits::apply(connection, edit, generation).await?;
    }
    if let Some(receipt) = &change.receipt {
        log::keep_receipt(connection, receipt).await?;
    }
    if let Some(record) = &change.audit {
        log::append(connection, record).await?;
    }
    Ok(generation)
}

async fn generation(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT generation FROM cluster").fetch_one(connection).await?;
    rows::unsigned(rows::integer_of(&row, "generation")?)
}
