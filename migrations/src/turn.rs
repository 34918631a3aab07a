//! Whose turn it is to write: one task in this process, one process on this host.

use crate::DatabaseError;
use sqlx::SqliteConnection;
use std::{fs::File, path::PathBuf, sync::Arc};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// What the one writer of a process has.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The database, to connect again after a connection was given up.
    pub(crate) database: PathBuf,
    /// Its lock is the turn among processes.
    lock: File,
    /// Open and outside of any transaction; `None` until used, and after a connection was given up.
    pub(crate) connection: Option<SqliteConnection>,
}

/// The queue of this process.
pub(crate) type Queue = Arc<Mutex<Writer>>;

/// A queue on a lock file.
pub(crate) fn queue(database: PathBuf, lock: File) -> Queue {
    Arc::new(Mutex::new(Writer {
        database,
        lock,
        connection: None,
    }))
}

/// The turn. Dropping it frees the lock, then the queue.
#[derive(Debug)]
pub(crate) struct Turn(OwnedMutexGuard<Writer>);

impl Turn {
    /// Waits for the turn. May be dropped at any moment.
    pub(crate) async fn take(queue: &Queue) -> Result<Self, DatabaseError> {
        let writer = Arc::clone(queue).lock_owned().await;
        match writer.lock.try_lock() {
            Ok(()) => Ok(Self(writer)),
            Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
            // The place in the queue goes along: where this future is dropped,
            // the turn that nobody waits for any more is dropped with the answer.
            Err(std::fs::TryLockError::WouldBlock) => tokio::task::spawn_blocking(move || {
                writer.lock.lock()?;
                Ok(Self(writer))
            })
            .await
            .map_err(|error| DatabaseError::Internal(error.into()))?,
        }
    }

    /// Takes the connection out, or connects.
    pub(crate) async fn connection(&mut self) -> Result<SqliteConnection, DatabaseError> {
        match self.0.connection.take() {
            Some(connection) => Ok(connection),
            None => Ok(crate::connect::writer(&self.0.database).await?),
        }
    }

    /// Keeps a connection that is outside of any transaction for the next one.
    pub(crate) fn keep(&mut self, connection: SqliteConnection) {
        self.0.connection = Some(connection);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Err(error) = self.0.lock.unlock() {
            // The lock would stay with this process: other ones wait for its end.
            tracing::error!(%error, "can't free the database's lock");
        }
    }
}
