//! The log, on stderr: `FASTCHAT_LOG_LEVEL` (a filter), `FASTCHAT_LOG_FORMAT` (`text` or `json`).

use std::io::{IsTerminal, stderr};
use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging; once in a process's life. `level` where the environment says nothing.
///
/// # Errors
/// The level is no filter.
pub(crate) fn init(level: &str) -> anyhow::Result<()> {
    let given = std::env::var("FASTCHAT_LOG_LEVEL").ok().filter(|level| !level.is_empty());
    let filter = EnvFilter::builder().parse(given.as_deref().unwrap_or(level))?;
    let builder = fmt().with_env_filter(filter).with_writer(stderr);
    if std::env::var("FASTCHAT_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_ansi(stderr().is_terminal()).init();
    }
    Ok(())
}
