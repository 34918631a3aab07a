//! The chat server's role.

mod blobs;
mod context;
mod handlers;
mod news;
mod password;
mod token;

use crate::shell::Shell;

/// Runs the server until the shell says stop.
pub(crate) async fn run(_shell: Shell) -> anyhow::Result<()> {
    Ok(())
}
