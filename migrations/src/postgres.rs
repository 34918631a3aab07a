//! PostgreSQL: many writers on many hosts, so whoever writes locks the rows it decides on.

mod circuit;
mod held;
mod migrate;
mod place;
mod tls;

pub use held::{HeldConnection, HeldConnections};
pub(crate) use migrate::migrate;
pub(crate) use place::PostgresPlace;

use crate::{DatabaseError, OpenError, version};
use circuit::Circuit;
use sqlx::{
    Connection, Executor, PgConnection, PgPool, Postgres, Row, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{sync::Arc, time::Duration};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// How long a call waits for a free connection of the pool, reconnecting included.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that was idle this long is asked whether it still lives before it is used.
const IDLE_TRUSTED: Duration = Duration::from_secs(1);

/// What every connection begins with: no statement, lock or forgotten transaction waits for ever, and
/// what is acknowledged is on disk, whatever the server's default is.
const SET_UP: &str = "
    SELECT set_config('statement_timeout', '15s', false),
           set_config('lock_timeout', '10s', false),
           set_config('idle_in_transaction_session_timeout', '20s', false),
           set_config('default_transaction_isolation', 'read committed', false),
           set_config('synchronous_commit',
                      CASE WHEN current_setting('synchronous_commit') = 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)";

/// An open PostgreSQL database whose schema this program knows. Clones share its connections.
#[derive(Debug, Clone)]
pub struct PostgresDatabase(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    /// A closed one, which refuses at once: handed out while the database is away.
    refusing: PgPool,
    circuit: Circuit,
    options: PgConnectOptions,
    store_id: String,
    /// Who asks whether the database is there.
    tasks: TaskTracker,
    stop: CancellationToken,
    /// It ends with the last clone.
    _stop_on_drop: DropGuard,
}

impl PostgresDatabase {
    /// Connects and checks.
    pub(crate) async fn open(place: &PostgresPlace) -> Result<Self, OpenError> {
        let pool = pool(place);
        let store_id = match check(&pool, place).await {
            Ok(store_id) => store_id,
            Err(error) => {
                pool.close().await;
                return Err(error);
            }
        };
        let refusing = PgPoolOptions::new().connect_lazy_with(place.options.clone());
        refusing.close().await;
        let (circuit, tasks, stop) = (Circuit::default(), TaskTracker::new(), CancellationToken::new());
        tasks.spawn(circuit.clone().run(place.options.clone(), stop.clone()));
        Ok(Self(Arc::new(Inner {
            pool,
            refusing,
            circuit,
            options: place.options.clone(),
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

    /// The connections: for statements that are a transaction of their own. While the
    /// database is away it is a pool that refuses each of them at once, as one that was closed.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        if self.0.circuit.is_open() { &self.0.refusing } else { &self.0.pool }
    }

    /// So many connections beside the pool, for statements that are often used; each begins with `set_up`.
    #[must_use]
    pub fn hold(&self, count: usize, set_up: &'static str) -> HeldConnections {
        HeldConnections::new(self.0.options.clone(), self.0.circuit.clone(), count, set_up)
    }

    /// Begins a transaction, in which each statement sees what was committed before
    /// it began. Dropped before its commit it is rolled back.
    ///
    /// # Errors
    /// The database can't be reached now.
    pub async fn write(&self) -> Result<Transaction<'static, Postgres>, DatabaseError> {
        self.0.circuit.check()?;
        Ok(self.0.pool.begin().await?)
    }

    /// Begins a transaction that only reads, all of it one state.
    ///
    /// # Errors
    /// The database can't be reached now.
    pub async fn snapshot(&self) -> Result<Transaction<'static, Postgres>, DatabaseError> {
        self.0.circuit.check()?;
        Ok(self.0.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
    }

    /// Ends its connections, whoever still has clones of it.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.pool.close().await;
    }
}

fn pool(place: &PostgresPlace) -> PgPool {
    PgPoolOptions::new()
        .max_connections(place.connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(set_up(connection)))
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                // After a restart of the server its old connections are dead: they are replaced here.
                Ok(meta.idle_for < IDLE_TRUSTED || connection.ping().await.is_ok())
            })
        })
        .connect_lazy_with(place.options.clone())
}

/// A connection outside of any pool.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    set_up(&mut connection).await?;
    Ok(connection)
}

async fn set_up(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute(SET_UP).await?;
    Ok(())
}

/// Checks the server and the schema; answers the store's id.
async fn check(pool: &PgPool, place: &PostgresPlace) -> Result<String, OpenError> {
    // Not by the pool: it would try again until its time is over, and not say why.
    let mut connection = connect(&place.options).await.map_err(OpenError::connecting)?;
    let outcome = check_on(&mut connection, place).await;
    drop(connection.close().await);
    let store_id = outcome?;
    drop(pool.acquire().await.map_err(DatabaseError::from)?);
    Ok(store_id)
}

async fn check_on(connection: &mut PgConnection, place: &PostgresPlace) -> Result<String, OpenError> {
    check_durable(connection).await?;
    let found = migrate::read_version(connection)
        .await
        .map_err(DatabaseError::from)?
        .ok_or_else(|| OpenError::NotFastChat(place.to_string()))?;
    version::check(found)?;
    Ok(store_id(connection).await.map_err(DatabaseError::from)?)
}

/// Refuses a server that acknowledges what it may lose.
async fn check_durable(connection: &mut PgConnection) -> Result<(), OpenError> {
    let row = sqlx::query("SELECT current_setting('fsync') = 'on' AND current_setting('synchronous_commit') IN ('on', 'remote_apply')")
        .fetch_one(connection)
        .await
        .map_err(DatabaseError::from)?;
    if row.try_get(0).map_err(DatabaseError::from)? {
        Ok(())
    } else {
        Err(OpenError::NotDurable)
    }
}

async fn store_id(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let row = sqlx::query("SELECT id, restores FROM store").fetch_one(connection).await?;
    version::store_id(&row)
}
