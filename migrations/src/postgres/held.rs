//! Connections that are held open for one purpose, beside the pool.
//!
//! The pool asks a connection whether it still lives whenever it comes back: a round
//! trip for each statement, and as long as the statement itself. Here a connection
//! comes back by [`HeldConnection::settle`], with the outcome of what was done on it, which says as much.
//!
//! ```text
//!            ┌──── settle: done, or the server said no ────┐
//!            v                                             │
//!  idle ── take ──> HeldConnection ── statement ───────────┤
//!   ^                    ^                                 └── settle: lost, or dropped: closed,
//!   └── none: connect ───┘                                     and after a loss the idle ones too
//! ```

use super::{circuit::Circuit, connect};
use crate::DatabaseError;
use sqlx::{
    Executor, PgConnection,
    postgres::{PgConnectOptions, PgDatabaseError},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How long a call waits for a free connection, and then for a new one.
const TAKE_TIMEOUT: Duration = Duration::from_secs(2);

/// A bounded number of connections, each used by one at a time. Clones share them.
#[derive(Debug, Clone)]
pub struct HeldConnections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: PgConnectOptions,
    /// What each new connection begins with.
    set_up: &'static str,
    circuit: Circuit,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<PgConnection>>,
}

impl HeldConnections {
    pub(super) fn new(options: PgConnectOptions, circuit: Circuit, count: usize, set_up: &'static str) -> Self {
        Self(Arc::new(Shared {
            options,
            set_up,
            circuit,
            free: Arc::new(Semaphore::new(count)),
            idle: Mutex::default(),
        }))
    }

    /// A connection of one's own, until it is settled or dropped.
    ///
    /// # Errors
    /// The database is away, which is known at once where it was before; or all connections are in use for too long.
    pub async fn take(&self) -> Result<HeldConnection, DatabaseError> {
        self.0.circuit.check()?;
        let free = timeout(TAKE_TIMEOUT, Arc::clone(&self.0.free).acquire_owned()).await;
        let Ok(Ok(permit)) = free else {
            return Err(DatabaseError::Unavailable("all connections are in use".into()));
        };
        let idle = self.0.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.0.connect().await?,
        };
        Ok(HeldConnection {
            connection,
            shared: Arc::clone(&self.0),
            _permit: permit,
        })
    }
}

impl Shared {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<PgConnection, DatabaseError> {
        let connecting = async {
            let mut connection = connect(&self.options).await?;
            connection.execute(self.set_up).await?;
            Ok(connection)
        };
        let outcome = timeout(TAKE_TIMEOUT, connecting).await;
        let outcome = outcome.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())));
        if outcome.is_err() {
            self.circuit.doubt();
        }
        Ok(outcome?)
    }
}

/// A connection in use. Dropped unsettled it is closed: nobody knows what is still under way on it.
#[derive(Debug)]
pub struct HeldConnection {
    connection: PgConnection,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl HeldConnection {
    /// To run statements on.
    pub fn get(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Gives the connection back, if what came of its use says that it still lives.
    ///
    /// # Errors
    /// The outcome's own. Unless the server said no, it is unknown whether anything was done.
    pub fn settle<T>(self, outcome: Result<T, sqlx::Error>) -> Result<T, DatabaseError> {
        if outcome.as_ref().err().is_none_or(lives_after) {
            self.shared.idle().push(self.connection);
        } else {
            // What killed this one killed the others.
            self.shared.idle().clear();
            self.shared.circuit.doubt();
        }
        Ok(outcome?)
    }
}

/// True where the server answered with the error, and goes on serving this connection.
fn lives_after(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.try_downcast_ref::<PgDatabaseError>().is_some_and(|error| {
            !matches!(
                error.severity(),
                sqlx::postgres::PgSeverity::Fatal | sqlx::postgres::PgSeverity::Panic
            )
        }),
        _ => false,
    }
}
