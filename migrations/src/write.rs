//! A write transaction that ends whole, whatever becomes of its future.

use crate::{
    DatabaseError,
    turn::{Queue, Turn},
};
use sqlx::{Connection, SqliteConnection};
use std::ops::{Deref, DerefMut};
use tokio_util::task::TaskTracker;

/// A write transaction, which derefs to its connection. Dropped before
/// [`commit`](Self::commit) has returned, it is rolled back (unless the commit
/// went through, which then is not known), and only then the next one begins.
#[derive(Debug)]
pub struct WriteTransaction {
    /// `None` once it has ended.
    open: Option<Open>,
    /// Where an abandoned transaction is ended.
    endings: TaskTracker,
}

#[derive(Debug)]
struct Open {
    // Fields drop in this order: the connection ends before the turn does.
    connection: SqliteConnection,
    turn: Turn,
}

impl WriteTransaction {
    /// Waits for the turn and begins. May be dropped at any moment.
    pub(crate) async fn begin(queue: &Queue, endings: &TaskTracker) -> Result<Self, DatabaseError> {
        let mut turn = Turn::take(queue).await?;
        let connection = turn.connection().await?;
        // From here on a drop finds the connection, whether or not it has begun.
        let mut transaction = Self {
            open: Some(Open { connection, turn }),
            endings: endings.clone(),
        };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *transaction).await?;
        Ok(transaction)
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// It is rolled back; where the error is [`DatabaseError::Unavailable`], it may also have gone through.
    pub async fn commit(mut self) -> Result<(), DatabaseError> {
        sqlx::query("COMMIT").execute(&mut *self).await?;
        self.end();
        Ok(())
    }

    /// Undoes it and waits for that. Dropping the transaction does the same in the background.
    ///
    /// # Errors
    /// The connection is broken; it is given up, and the transaction with it.
    pub async fn rollback(mut self) -> Result<(), DatabaseError> {
        sqlx::query("ROLLBACK").execute(&mut *self).await?;
        self.end();
        Ok(())
    }

    /// The connection is outside of the transaction: keep it.
    fn end(&mut self) {
        if let Some(Open { connection, mut turn }) = self.open.take() {
            turn.keep(connection);
        }
    }
}

impl Drop for WriteTransaction {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        // Without a runtime the connection is closed, which rolls back as well.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.endings.spawn_on(open.abandon(), &runtime);
        }
    }
}

impl Open {
    /// Rolls back, then frees the turn.
    async fn abandon(self) {
        let Self { mut connection, mut turn } = self;
        // It may not have begun, or have been committed after all: then there is
        // nothing to roll back, and a new connection is the surest state.
        match sqlx::query("ROLLBACK").execute(&mut connection).await {
            Ok(_) => turn.keep(connection),
            Err(_) => {
                if let Err(error) = connection.close().await {
                    tracing::warn!(%error, "an abandoned connection to the database did not close");
                }
            }
        }
    }
}

const OPEN: &str = "a transaction is open until it is consumed or dropped";

impl Deref for WriteTransaction {
    type Target = SqliteConnection;

    #[expect(clippy::expect_used, reason = "only commit, rollback and drop end it, and they consume it")]
    fn deref(&self) -> &SqliteConnection {
        &self.open.as_ref().expect(OPEN).connection
    }
}

impl DerefMut for WriteTransaction {
    #[expect(clippy::expect_used, reason = "only commit, rollback and drop end it, and they consume it")]
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.open.as_mut().expect(OPEN).connection
    }
}
