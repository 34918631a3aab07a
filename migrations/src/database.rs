//! An open database.

use crate::{
    DatabaseError, OpenError, checkpoint, connect,
    turn::{self, Queue},
    url::SqliteFiles,
    version,
    write::WriteTransaction,
};
use sqlx::{Connection, SqlitePool};
use std::sync::Arc;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// An open database whose schema this program knows. Clones share it.
#[derive(Debug, Clone)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    readers: SqlitePool,
    queue: Queue,
    store_id: String,
    /// Checkpoints, and transactions that were abandoned.
    tasks: TaskTracker,
    stop: CancellationToken,
    /// The tasks end with the last clone.
    _stop_on_drop: DropGuard,
}

impl Database {
    /// Opens a database that exists. Needs a tokio runtime, on which its checkpoints run.
    ///
    /// # Errors
    /// There is none, it isn't ours, its schema isn't known to this program, or it can't be written.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let files = SqliteFiles::parse(url)?;
        if !files.database.exists() {
            return Err(OpenError::Missing(files.database));
        }
        connect::create_file(&files)?;
        let queue = turn::queue(files.database.clone(), connect::lock_file(&files)?);
        let readers = connect::readers(&files.database);
        let store_id = check(&files, &readers).await?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(checkpoint::run(queue.clone(), readers.clone(), stop.clone()));
        Ok(Self(Arc::new(Inner {
            readers,
            queue,
            store_id,
            tasks,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        })))
    }

    /// Id of this store and its restore counter, as `UUID.N`. Cursors into
    /// another one mean nothing here.
    #[must_use]
    pub fn store_id(&self) -> &str {
        &self.0.store_id
    }

    /// Connections that read, each statement (or transaction) on one consistent state.
    #[must_use]
    pub fn readers(&self) -> &SqlitePool {
        &self.0.readers
    }

    /// Waits for the turn among all writers of all processes and begins a transaction.
    /// May be dropped at any moment.
    ///
    /// # Errors
    /// The database or its lock can't be had now.
    pub async fn write(&self) -> Result<WriteTransaction, DatabaseError> {
        WriteTransaction::begin(&self.0.queue, &self.0.tasks).await
    }

    /// Ends its tasks and connections, whoever still has clones of it. Reads fail
    /// from then on; a transaction that is open is waited for.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.readers.close().await;
        let connection = self.0.queue.lock().await.connection.take();
        if let Some(connection) = connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the database did not close in order; it mends itself when it is next opened");
        }
    }
}

/// Checks the schema; answers the store's id.
async fn check(files: &SqliteFiles, readers: &SqlitePool) -> Result<String, OpenError> {
    let mut connection = readers.acquire().await.map_err(|error| connect::refusal(files, error))?;
    let found = version::read(&mut connection)
        .await
        .map_err(|error| connect::refusal(files, error))?
        .ok_or_else(|| OpenError::NotFastChat(files.database.display().to_string()))?;
    version::check(found)?;
    Ok(store_id(&mut connection).await.map_err(DatabaseError::from)?)
}

async fn store_id(connection: &mut sqlx::SqliteConnection) -> Result<String, sqlx::Error> {
    let row = sqlx::query("SELECT id, restores FROM store").fetch_one(connection).await?;
    version::store_id(&row)
}
