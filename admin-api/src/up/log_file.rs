//! The log files of the processes that `up` starts: appended to, and kept short.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// A log longer than this moves to `log.1`.
const LOG_BYTES_MAX: u64 = 16 << 20;
/// How much of its end is read for the last line.
const TAIL_BYTES: u64 = 4_096;

/// Opens a log to append to it.
pub(super) fn open(path: &Path) -> std::io::Result<File> {
    rotate(path);
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Moves what is there to `log.1` once it is too long. The writer keeps its file:
/// it is copied and cut, at the price of lines that come in between.
pub(super) fn rotate(path: &Path) {
    let long = fs::metadata(path).is_ok_and(|file| file.len() > LOG_BYTES_MAX);
    if long && let Err(error) = fs::copy(path, path.with_extension("1")).and_then(|_| OpenOptions::new().write(true).open(path)?.set_len(0))
    {
        tracing::warn!(%error, path = %path.display(), "a log can't be rotated");
    }
}

/// The last line of a log, for people.
pub(super) fn last_line(path: &Path) -> String {
    let read = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(
            String::from_utf8_lossy(&bytes)
                .lines()
                .rfind(|line| !line.trim().is_empty())
                .map(str::to_owned),
        )
    };
    match read() {
        Ok(Some(line)) => line,
        Ok(None) | Err(_) => format!("its log is {}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_log_is_appended_to_and_its_last_line_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        assert!(last_line(&path).contains("its log is"));
        open(&path).unwrap().write_all(b"one\n").unwrap();
        open(&path).unwrap().write_all(b"two\n\n").unwrap();
        assert_eq!(last_line(&path), "two");
    }

    #[test]
    fn a_log_that_is_too_long_moves_aside_while_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut writer = open(&path).unwrap();
        writer.set_len(LOG_BYTES_MAX + 1).unwrap();
        rotate(&path);
        writer.write_all(b"after\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after\n");
        assert_eq!(fs::metadata(folder.path().join("log.1")).unwrap().len(), LOG_BYTES_MAX + 1);
    }
}
