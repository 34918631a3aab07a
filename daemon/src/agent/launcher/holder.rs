//! Who holds an instance's lock file, and so runs it.

use crate::shell::LOCK_FILE;
use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

/// Who runs an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// Nobody: the lock is free.
    Nobody,
    /// The process that wrote this pid; `None` where it hasn't yet.
    Somebody(Option<u32>),
}

/// Looks at the lock file in the folder of an instance.
///
/// # Errors
/// The file can't be opened.
pub(super) fn holder(state: &Path) -> io::Result<Holder> {
    let path = state.join(LOCK_FILE);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        opened => opened?,
    };
    match file.try_lock() {
        // Held by us until the file is closed, just below; a start is patient.
        Ok(()) => Ok(Holder::Nobody),
        Err(TryLockError::WouldBlock) => Ok(Holder::Somebody(std::fs::read_to_string(&path)?.trim().parse().ok())),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
