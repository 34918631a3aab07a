//! PostgreSQL's programs, and the user that they run as.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// What to do where they are missing.
const MISSING: &str = "these tests need PostgreSQL: run .ci/install, or `apt-get install --no-install-recommends postgresql`";

/// Whom PostgreSQL runs as where the tests run as root, which it refuses.
const USER: &str = "postgres";

/// A program of PostgreSQL's, ready to be run by a user that is not root.
pub(crate) fn program(name: &str) -> Command {
    let path = folder().join(name);
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", USER, "--"]).arg(path);
        command
    } else {
        Command::new(path)
    };
    command.stdin(Stdio::null()).current_dir("/");
    command
}

/// Runs it.
pub(crate) fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("can't run {command:?}: {error}; {MISSING}"))
}

/// Runs it and expects success.
pub(crate) fn done(command: &mut Command) {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The version of PostgreSQL, as it names itself.
///
/// # Panics
/// PostgreSQL is missing.
#[must_use]
pub fn version() -> String {
    let output = run(program("postgres").arg("--version"));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Gives a folder to the user that PostgreSQL runs as.
pub(crate) fn give(folder: &Path) -> std::io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let output = run(Command::new("chown").arg(format!("{USER}:")).arg(folder));
    if output.status.success() {
        Ok(())
    } else {
        Err(std::io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

/// The folder of its programs: where `pg_ctl` is found, else Debian's of the newest version.
fn folder() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).find(|folder| folder.join("pg_ctl").is_file() && folder.join("initdb").is_file());
    found.or_else(debian).unwrap_or_else(|| panic!("no pg_ctl and initdb: {MISSING}"))
}

fn debian() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()?;
    let folder = PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"));
    folder.join("pg_ctl").is_file().then_some(folder)
}
