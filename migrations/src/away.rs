//! Waiting for a PostgreSQL server that is away. One that was killed recovers for a while, and whoever starts
//! meanwhile would end, and be started again ever later.

use crate::{error::is_unavailable, url::Place};
use sqlx::{Connection, PgConnection};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// So long a server may be away.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(250);
/// No such database: to wait for it is no use.
const MISSING_DATABASE: &str = "3D000";

/// Waits until the server of a PostgreSQL database answers, whatever it answers; for 30 s at most. What is in the way then, or with
/// another URL, is for [`crate::open`] to say.
pub async fn wait_for_server(url: &str) {
    let Ok(Place::Postgres(place)) = Place::parse(url) else {
        return;
    };
    let deadline = Instant::now() + PATIENCE;
    let mut told = false;
    loop {
        match timeout_at(deadline, PgConnection::connect_with(&place.options)).await {
            Ok(Err(error)) if is_away(&error) && Instant::now() + PAUSE < deadline => {
                if !told {
                    tracing::warn!(%error, patience_ms = PATIENCE.as_millis(), "the database is away; waiting for it");
                    told = true;
                }
                sleep(PAUSE).await;
            }
            Ok(Ok(connection)) => {
                // It has answered; how it takes the farewell is its own affair.
                let _ = connection.close().await;
                return;
            }
            _ => return,
        }
    }
}

fn is_away(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.as_deref() != Some(MISSING_DATABASE) && is_unavailable(error)
}
