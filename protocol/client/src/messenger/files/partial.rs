//! Sealed files on their way down: `partial/BLOB` in the profile's folder, so that a program that was killed goes on
//! where it was. Whoever fetches holds its lock; a second one at the same time gets a file without a name.

use crate::problem::Problem;
use fastchat_e2e::BlobId;
use std::{
    fs::{self, File},
    io::{self, Seek},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// What nobody has gone on with for so long is removed.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A sealed file that is not whole yet.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) file: File,
    /// The bytes that are there.
    pub(super) from: u64,
    path: Option<PathBuf>,
}

impl Partial {
    /// What is there of a blob of `size` bytes, in a folder that is made where there is none.
    pub(super) fn open(folder: &Path, blob: BlobId, size: u64) -> Result<Self, Problem> {
        let refused = |error| Problem::file(folder, error);
        fs::create_dir_all(folder).map_err(refused)?;
        tidy(folder);
        let path = folder.join(blob.to_string());
        loop {
            let mut open = File::options();
            let file = open.read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = file.map_err(|error| Problem::file(&path, error))?;
            if file.try_lock().is_err() {
                return Ok(Self {
                    file: tempfile::tempfile_in(folder).map_err(refused)?,
                    from: 0,
                    path: None,
                });
            }
            let metadata = file.metadata().map_err(refused)?;
            if metadata.nlink() == 0 {
                // Whoever had the lock was done with it.
                continue;
            }
            let mut from = metadata.len();
            if from > size {
                file.set_len(0).map_err(refused)?;
                from = 0;
            }
            file.rewind().map_err(refused)?;
            return Ok(Self {
                file,
                from,
                path: Some(path),
            });
        }
    }

    /// The same from its first byte.
    pub(super) fn begin_anew(&mut self) -> io::Result<()> {
        self.from = 0;
        self.file.set_len(0)
    }

    /// It is opened, or nobody needs it.
    pub(super) fn remove(self) {
        if let Some(path) = &self.path
            && let Err(error) = fs::remove_file(path)
        {
            tracing::debug!(%error, "a partial download stays for now");
        }
    }
}

/// Removes what nobody goes on with.
fn tidy(folder: &Path) {
    remove_files(folder, KEPT, |_| true);
}

/// Removes files that did not change for so long. What can't be removed is left for the next time.
pub(super) fn remove_files(folder: &Path, unchanged_for: Duration, which: impl Fn(&str) -> bool) {
    let Ok(files) = fs::read_dir(folder) else { return };
    for file in files.flatten() {
        let changed = file.metadata().and_then(|file| file.modified());
        let age = changed.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age >= unchanged_for) && file.file_name().to_str().is_some_and(&which) {
            let _ = fs::remove_file(file.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const BLOB: BlobId = BlobId([7; 16]);

    #[test]
    fn what_is_there_is_found_again_and_what_is_done_with_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("partial");
        let mut first = Partial::open(&folder, BLOB, 10).unwrap();
        assert_eq!(first.from, 0);
        first.file.write_all(b"abcd").unwrap();
        drop(first);
        let again = Partial::open(&folder, BLOB, 10).unwrap();
        assert_eq!(again.from, 4);
        again.remove();
        assert_eq!(Partial::open(&folder, BLOB, 10).unwrap().from, 0);
        fs::write(folder.join(BLOB.to_string()), "abcd").unwrap();
        assert_eq!(Partial::open(&folder, BLOB, 3).unwrap().from, 0, "more than there can be");
    }

    #[test]
    fn two_at_once_do_not_write_into_one_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(BLOB.to_string()), "abcd").unwrap();
        let first = Partial::open(folder.path(), BLOB, 10).unwrap();
        let second = Partial::open(folder.path(), BLOB, 10).unwrap();
        assert_eq!((first.from, second.from), (4, 0));
        second.remove();
        assert!(folder.path().join(BLOB.to_string()).exists());
    }

    #[test]
    fn what_nobody_goes_on_with_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("old");
        fs::write(&old, "abcd").unwrap();
        let file = File::options().write(true).open(&old).unwrap();
        file.set_modified(SystemTime::now() - KEPT).unwrap();
        Partial::open(folder.path(), BLOB, 10).unwrap();
        assert!(!old.exists() && folder.path().join(BLOB.to_string()).exists());
    }
}
