//! `fastchatd migrate`: creates a database, or brings it to this version's schema.

use crate::config::Migrate;
use anyhow::Context;

/// Migrates the database. Doing it again changes nothing.
///
/// # Errors
/// It can't be opened, or its schema is one that this version doesn't know.
pub(crate) async fn run(migrate: &Migrate) -> anyhow::Result<()> {
    let shown = fastchat_schema::shown(migrate.database.expose());
    let done = fastchat_schema::migrate(migrate.database.expose()).await;
    let done = done.with_context(|| format!("can't migrate {shown}"))?;
    tracing::info!(
        database = shown,
        from = done.from,
        to = done.to,
        "the database has this version's schema"
    );
    Ok(())
}
