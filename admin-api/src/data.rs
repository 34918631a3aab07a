//! The data folder: what stands where, and the admin's token.

use anyhow::{Context, anyhow};
use fastchat_wire::{Secret, encoding::base64url};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The control plane's own folder below `processes`.
pub(crate) const CONTROL: &str = "fastchat-admin";

/// A data folder, absolute.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder(PathBuf);

impl DataFolder {
    /// Makes it where there is none, readable by this user alone.
    ///
    /// # Errors
    /// It can't be made or written.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let path = std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))?;
        let refused = || {
            format!(
                "can't write in {}; make it writable for this user, or give another --data",
                path.display()
            )
        };
        create_folder(&path).with_context(refused)?;
        let probe = path.join(".writable");
        File::create(&probe).and_then(|_| fs::remove_file(&probe)).with_context(refused)?;
        Ok(Self(path))
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The file of the admin's token.
    pub(crate) fn admin_token(&self) -> PathBuf {
        self.0.join("admin.token")
    }

    /// The folder of the blobs.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }

    /// The database's URL, absolute: that which was given, or SQLite in the folder.
    pub(crate) fn database(&self, given: Option<&str>) -> Secret {
        let url = given.map_or_else(|| format!("sqlite:{}", self.0.join("fastchat.db").display()), str::to_owned);
        let relative = url
            .strip_prefix("sqlite:")
            .map(|path| path.strip_prefix("//").unwrap_or(path))
            .filter(|path| !path.is_empty());
        // Whoever gets it in a spec has another working folder.
        match relative.and_then(|path| std::path::absolute(path).ok()) {
            Some(path) => Secret::new(format!("sqlite:{}", path.display())),
            None => Secret::new(url),
        }
    }

    /// The folder of a process, made where there is none.
    ///
    /// # Errors
    /// It can't be made.
    pub(crate) fn process(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.processes().join(name);
        create_folder(&path).with_context(|| format!("can't make {}", path.display()))?;
        Ok(path)
    }

    /// The folder of all processes.
    pub(crate) fn processes(&self) -> PathBuf {
        self.0.join("processes")
    }

    /// The admin's token, made at first.
    ///
    /// # Errors
    /// It can't be read or written.
    pub(crate) fn create_admin_token(&self) -> anyhow::Result<Secret> {
        let path = self.admin_token();
        if let Some(token) = read_token(&path)? {
            return Ok(token);
        }
        let token = Secret::new(base64url(&rand::random::<[u8; 32]>()));
        write_secret(&path, &token)?;
        Ok(token)
    }
}

/// A token from its file; `None` where there is no file.
///
/// # Errors
/// It can't be read, or is empty.
pub(crate) fn read_token(path: &Path) -> anyhow::Result<Option<Secret>> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Err(anyhow!(
            "{} is empty; remove it, and a new token is made at the next start",
            path.display()
        )),
        Ok(text) => Ok(Some(Secret::new(text.trim().to_owned()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}

/// Writes a secret for this user alone, whole or not at all.
///
/// # Errors
/// It can't be written.
pub(crate) fn write_secret(path: &Path, secret: &Secret) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        writeln!(file, "{}", secret.expose())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("can't write {}", path.display()))
}

/// A folder for this user alone.
///
/// # Errors
/// It can't be made.
pub(crate) fn create_folder(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A lock file, held until it is dropped or its process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes a lock and writes this process's id into its file; `Err(Some(pid))` where another holds it.
    ///
    /// # Errors
    /// Another process holds it, or the file can't be written.
    pub(crate) fn take(path: &Path) -> anyhow::Result<Result<Self, Option<u32>>> {
        let refused = || format!("can't write {}", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .with_context(refused)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)
                    .and_then(|()| writeln!(file, "{}", std::process::id()))
                    .with_context(refused)?;
                Ok(Ok(Self { _file: file }))
            }
            Err(TryLockError::WouldBlock) => Ok(Err(pid_in(path))),
            Err(TryLockError::Error(error)) => Err(error).with_context(refused),
        }
    }
}

/// The process that holds a lock file; `None` where nobody does.
pub(crate) fn holder(path: &Path) -> Option<u32> {
    let file = File::open(path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => pid_in(path),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

fn pid_in(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_admin_token_is_made_once_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::open(&folder.path().join("new")).unwrap();
        let token = data.create_admin_token().unwrap();
        assert_eq!(token, data.create_admin_token().unwrap());
        assert_eq!(token.expose().len(), 43);
        assert_eq!(fs::metadata(data.admin_token()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = DataFolder::open(&folder.path().join("file")).unwrap_err().to_string();
        assert!(error.contains("give another --data"), "{error}");
    }

    #[test]
    fn databases_are_given_with_absolute_paths() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::open(folder.path()).unwrap();
        assert_eq!(
            data.database(None).expose(),
            format!("sqlite:{}/fastchat.db", folder.path().display())
        );
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            data.database(Some("sqlite:a.db")).expose(),
            format!("sqlite:{}/a.db", here.display())
        );
        assert_eq!(data.database(Some("sqlite:///a.db")).expose(), "sqlite:/a.db");
    }

    #[test]
    fn a_lock_has_one_holder_and_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert_eq!(holder(&path), None);
        let lock = Lock::take(&path).unwrap().unwrap();
        assert_eq!(Lock::take(&path).unwrap().unwrap_err(), Some(std::process::id()));
        assert_eq!(holder(&path), Some(std::process::id()));
        drop(lock);
        assert_eq!(holder(&path), None);
        assert!(Lock::take(&path).unwrap().is_ok());
    }
}
