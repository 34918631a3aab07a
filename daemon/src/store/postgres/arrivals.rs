//! What every arrival reads: its token, whether its session lives, its logs.
//!
//! Each is one statement of microseconds, and after a server's loss thousands of them come in a second. So they have
//! connections of their own, which nobody asks between two statements whether they still live, and plans that are
//! made once.

use crate::store::Result;
use fastchat_schema::{HeldConnections, PostgresDatabase};
use sqlx::{
    Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};

/// Statements that are asked at once; others wait their turn.
const CONNECTIONS: usize = 4;

const SET_UP: &str = "SELECT set_config('plan_cache_mode', 'force_generic_plan', false)";

/// Connections for what every arrival reads.
#[derive(Debug)]
pub(super) struct Arrivals(HeldConnections);

impl Arrivals {
    pub(super) fn new(database: &PostgresDatabase) -> Self {
        Self(database.hold(CONNECTIONS, SET_UP))
    }

    /// The rows of one read.
    pub(super) async fn read(&self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>> {
        let mut connection = self.0.take().await?;
        let outcome = query.fetch_all(connection.get()).await;
        Ok(connection.settle(outcome)?)
    }
}
