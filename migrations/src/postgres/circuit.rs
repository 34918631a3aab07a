//! Whether the database is there: found out by one connection that is asked again and
//! again, so that calls need not wait each for itself.
//!
//! ```text
//!             answers, every half second              refused, or no answer in time
//!  ┌────────┐ <──────────────────────── ┌────────┐ ──────────────────────────────> ┌──────┐
//!  │ closed │                           │ asking │                                 │ open │
//!  └────────┘ ────────────────────────> └────────┘ <────────────────────────────── └──────┘
//!             half a second, or a doubt               a quarter of a second
//! ```
//!
//! While it is open, calls are refused at once.

use super::connect;
use crate::DatabaseError;
use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgDatabaseError},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Between two questions while the answers come.
const ASK: Duration = Duration::from_millis(500);
/// Between two attempts to connect while it is away.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// Longest wait for an answer or a connection.
const ANSWER: Duration = Duration::from_secs(2);

/// What is known. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Circuit(Arc<State>);

#[derive(Debug, Default)]
struct State {
    open: AtomicBool,
    doubt: Notify,
}

impl Circuit {
    /// True while the database is away.
    pub(super) fn is_open(&self) -> bool {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Refuses while the database is away.
    pub(super) fn check(&self) -> Result<(), DatabaseError> {
        if self.is_open() {
            return Err(DatabaseError::Unavailable(
                "PostgreSQL does not answer; it is tried again four times a second".into(),
            ));
        }
        Ok(())
    }

    /// A connection failed: the database is asked at once.
    pub(super) fn doubt(&self) {
        self.0.doubt.notify_one();
    }

    /// Asks until it is told to stop.
    pub(super) async fn run(self, options: PgConnectOptions, stop: CancellationToken) {
        stop.run_until_cancelled(self.ask(&options)).await;
    }

    async fn ask(&self, options: &PgConnectOptions) {
        let mut connection = None;
        loop {
            let answer = timeout(ANSWER, question(&mut connection, options)).await;
            let away = match &answer {
                Ok(Ok(())) => None,
                Ok(Err(error)) => is_away(error).then(|| error.to_string()),
                Err(_) => Some("no answer in time".to_owned()),
            };
            let answered = matches!(answer, Ok(Ok(())));
            if !answered {
                connection = None;
            }
            let was_open = self.0.open.swap(away.is_some(), Ordering::Relaxed);
            match away {
                Some(error) if !was_open => tracing::warn!(error, "PostgreSQL is away: calls are refused until it answers"),
                None if was_open => tracing::info!("PostgreSQL answers again"),
                _ => {}
            }
            if answered {
                tokio::select! {
                    () = sleep(ASK) => {}
                    () = self.0.doubt.notified() => {}
                }
            } else {
                sleep(ASK_AGAIN).await;
            }
        }
    }
}

/// Asks on the connection; where it is gone, on a new one.
async fn question(connection: &mut Option<PgConnection>, options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    if let Some(living) = connection
        && living.ping().await.is_ok()
    {
        return Ok(());
    }
    *connection = Some(connect(options).await?);
    Ok(())
}

/// A server that answers with a refusal is there, unless it says that it starts or stops.
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<PgDatabaseError>()
            .is_some_and(|error| error.code().starts_with("57P")),
        _ => true,
    }
}
