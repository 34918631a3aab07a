//! The host agent's role.

use crate::shell::Shell;

/// Runs the agent until the shell says stop.
pub(crate) async fn run(_shell: Shell) -> anyhow::Result<()> {
    Ok(())
}
