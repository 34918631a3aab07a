//! The log: on stderr, as text or JSON. Where it goes from there is the starter's choice.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging; once in a process's life.
///
/// # Errors
/// The level is no filter.
pub(crate) fn init(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(&log.level)?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
