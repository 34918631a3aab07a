//! The lock file that a process holds for life: there is one process of a name on a host.
//!
//! The kernel frees it however the process ends. The agent trusts it, never a
//! pid alone; the pid in it says whom to signal.

use crate::atomic_file;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, Instant},
};

/// Its name in the folder of the process.
pub(crate) const LOCK_FILE: &str = "lock";
/// An agent that looks whether the lock is free holds it for an instant; so a start tries for so long.
const PATIENCE: Duration = Duration::from_millis(300);

/// The lock, held.
#[derive(Debug)]
pub(crate) struct InstanceLock {
    _file: File,
}

impl InstanceLock {
    /// Takes the lock of the process in `state`, and writes the pid into it.
    ///
    /// # Errors
    /// Another process holds it, or the folder can't be written.
    pub(crate) fn take(state: &Path) -> anyhow::Result<Self> {
        let failed = |error: std::io::Error| {
            anyhow::anyhow!(
                "can't write in {}: {error}; give another folder or make it writable",
                state.display()
            )
        };
        atomic_file::create_folder(state).map_err(failed)?;
        let path = state.join(LOCK_FILE);
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let mut file = open.map_err(failed)?;
        let patient_until = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if Instant::now() < patient_until => std::thread::sleep(Duration::from_millis(20)),
                Err(TryLockError::WouldBlock) => {
                    let holder = std::fs::read_to_string(&path).unwrap_or_default();
                    anyhow::bail!(
                        "{} is in use by process {}; end that one first or give another folder",
                        state.display(),
                        if holder.trim().is_empty() { "?" } else { holder.trim() },
                    );
                }
            }
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_process_of_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("processes").join("s1");
        let first = InstanceLock::take(&state).unwrap();
        let error = InstanceLock::take(&state).unwrap_err().to_string();
        assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
        drop(first);
        InstanceLock::take(&state).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), b"").unwrap();
        let error = InstanceLock::take(&folder.path().join("file").join("s1")).unwrap_err().to_string();
        assert!(error.contains("give another folder") && !error.contains('\n'), "{error}");
    }
}
