//! The log on stderr: only with -v, -vv or RUST_LOG.

use fastchat_client::problem::Problem;
use std::env;
use tracing_subscriber::EnvFilter;

/// Switches it on where it was asked for.
pub(crate) fn init(verbose: u8) -> Result<(), Problem> {
    let filter = match verbose {
        0 if env::var_os(EnvFilter::DEFAULT_ENV).is_none() => return Ok(()),
        0 => EnvFilter::try_from_default_env()
            .map_err(|error| Problem::Usage(format!("RUST_LOG: {error}; write it like RUST_LOG=fastchat_client=debug")))?,
        1 => EnvFilter::new("warn,fastchat=info,fastchat_client=info,fastchat_e2e=info"),
        _ => EnvFilter::new("info,fastchat=debug,fastchat_client=debug,fastchat_e2e=debug"),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init()
        .map_err(|error| Problem::declined("internal", format!("can't log: {error}")))
}
