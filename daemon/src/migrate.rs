//! `fastchatd migrate`: creates a database, or brings it to this version's schema.

use crate::config::Migrate;
use anyhow::Context;

/// Migrates the database. Doing it again changes nothing.
///
/// # Errors
/// It can't be opened, or its schema is one that this version doesn't know.
pub(crate) async fn run(migrate: &Migrate) -> anyhow::Result<()> {
    let done = fastchat_schema::migrate(&migrate.database).await;
    let done = done.with_context(|| format!("can't migrate {}", migrate.database))?;
    tracing::info!(
        database = migrate.database,
        from = done.from,
        to = done.to,
        "the database has this version's schema"
    );
    Ok(())
}
