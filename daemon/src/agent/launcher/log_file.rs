//! `log`, `log.1`, `log.2`, `log.3`: what an instance wrote, bounded.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// A log larger than this is rotated while its instance runs.
pub(super) const LOG_BYTES_MAX: u64 = 10 << 20;
/// Old logs that are kept.
const OLD_LOGS: u32 = 3;
/// As much of a log's end is looked at for its last line.
const LAST_LINE_BYTES_MAX: u64 = 2_048;

fn old(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("log.{number}"))
}

/// Makes room for a new `log.1`.
fn shift(folder: &Path) -> io::Result<()> {
    for number in (1..OLD_LOGS).rev() {
        match std::fs::rename(old(folder, number), old(folder, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Opens a new log, keeping the old one.
///
/// # Errors
/// The system's.
pub(super) fn open_new(folder: &Path) -> io::Result<File> {
    let log = folder.join("log");
    if log.metadata().is_ok_and(|metadata| metadata.len() > 0) {
        shift(folder)?;
        std::fs::rename(&log, old(folder, 1))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(&log)
}

/// Rotates the log of a running instance once it is larger than `bytes_max`.
///
/// The instance keeps its descriptor and appends to it, so the log is copied and
/// then emptied; what is written in between is lost.
///
/// # Errors
/// The system's.
pub(super) fn bound(folder: &Path, bytes_max: u64) -> io::Result<()> {
    let log = folder.join("log");
    if log.metadata()?.len() > bytes_max {
        shift(folder)?;
        std::fs::copy(&log, old(folder, 1))?;
        OpenOptions::new().write(true).open(&log)?.set_len(0)?;
    }
    Ok(())
}

/// The last line of a log: why an instance couldn't start stands there.
pub(super) fn last_line(folder: &Path) -> Option<String> {
    let mut log = File::open(folder.join("log")).ok()?;
    let length = log.metadata().ok()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(LAST_LINE_BYTES_MAX))).ok()?;
    let mut end = Vec::new();
    log.take(LAST_LINE_BYTES_MAX).read_to_end(&mut end).ok()?;
    let text = String::from_utf8_lossy(&end);
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(folder: &Path, name: &str) -> Option<String> {
        std::fs::read_to_string(folder.join(name)).ok()
    }

    #[test]
    fn each_start_has_a_log_of_its_own_and_three_old_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for start in 1..=6 {
            writeln!(open_new(folder.path()).unwrap(), "start {start}").unwrap();
        }
        for (name, start) in [("log", 6), ("log.1", 5), ("log.2", 4), ("log.3", 3)] {
            assert_eq!(read(folder.path(), name), Some(format!("start {start}\n")));
        }
        assert_eq!(read(folder.path(), "log.4"), None);
    }

    #[test]
    fn a_running_instance_goes_on_in_an_empty_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open_new(folder.path()).unwrap();
        writeln!(log, "a long line").unwrap();
        bound(folder.path(), 100).unwrap();
        assert_eq!(read(folder.path(), "log.1"), None, "not too large yet");
        bound(folder.path(), 5).unwrap();
        writeln!(log, "more").unwrap();
        assert_eq!(read(folder.path(), "log").as_deref(), Some("more\n"));
        assert_eq!(read(folder.path(), "log.1").as_deref(), Some("a long line\n"));
    }

    #[test]
    fn the_last_line_is_the_one_with_something_in_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(last_line(folder.path()), None);
        let mut log = open_new(folder.path()).unwrap();
        write!(log, "{}\nfastchatd: the port is in use\n\n", "x".repeat(5_000)).unwrap();
        assert_eq!(last_line(folder.path()).as_deref(), Some("fastchatd: the port is in use"));
    }
}
