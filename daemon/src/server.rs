//! The chat server's role.

use crate::shell::Shell;

/// Runs the server until the shell says stop.
pub(crate) async fn run(_shell: Shell) -> anyhow::Result<()> {
    Ok(())
}
