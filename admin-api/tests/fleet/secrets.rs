//! A URL with a password, and where the password may not be.

use super::harness::{Fleet, Ports, try_up, walk};
use std::path::Path;

/// No process shows the password in its arguments, and no file of the fleet has it but those that `may` have it.
pub(super) fn stays_out(fleet: &Fleet, password: &str, may: impl Fn(&Path) -> bool) {
    for process in &fleet.line.processes {
        let arguments = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap();
        assert!(!String::from_utf8_lossy(&arguments).contains(password), "{process:?}");
    }
    for file in walk(fleet.data()) {
        let text = std::fs::read(&file).unwrap_or_default();
        let told = String::from_utf8_lossy(&text).contains(password);
        assert!(!told || may(&file), "{}", file.display());
    }
}

/// What `up` says of a URL that can't be, without its password.
pub(super) fn refusal(flag: &str, url: &str, password: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let Err(output) = try_up(folder.path(), &Ports::free(), &[flag, url]) else {
        panic!("that {flag} can't be")
    };
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!message.contains(password), "{message}");
    message
}
