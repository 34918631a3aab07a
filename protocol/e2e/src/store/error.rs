//! What can go wrong with a store, and what to do then.

use rusqlite::ErrorCode;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a store was not made, opened, read or written. After any of them nothing was half written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `create` found one.
    #[error("{path} exists already: this profile is in use; choose another profile, or sign in with this one")]
    Exists {
        /// The store's file.
        path: PathBuf,
    },
    /// `open` found none.
    #[error("there is no {path}: this profile has not signed in yet; register or log in first")]
    Missing {
        /// The store's file.
        path: PathBuf,
    },
    /// Of another version.
    #[error("{path} has version {found}, this client knows version {known}: use the client that wrote it, or a new profile")]
    Version {
        /// The store's file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The version of this client.
        known: i64,
    },
    /// The storage key's file is not there.
    #[error("{path} is missing: without it nothing in the store opens; restore it from a backup, or sign in with a new profile")]
    KeyMissing {
        /// The key's file.
        path: PathBuf,
    },
    /// The storage key's file can be read by others.
    #[error("{path} can be read by others (mode {mode:03o}): run `chmod 600` on it")]
    KeyExposed {
        /// The key's file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The storage key is not this store's.
    #[error("{path} was not sealed with the storage key beside it: restore both from the same backup, or sign in with a new profile")]
    WrongKey {
        /// The store's file.
        path: PathBuf,
    },
    /// Not a FastChat store, or damaged.
    #[error("{path} is damaged, or is no FastChat store: restore it from a backup, or sign in with a new profile")]
    Damaged {
        /// The store's file.
        path: PathBuf,
    },
    /// A value that does not open.
    #[error("{path} has a value in table {table} that does not open: it was changed; restore the store, or sign in with a new profile")]
    Unopened {
        /// The store's file.
        path: PathBuf,
        /// The table.
        table: &'static str,
    },
    /// No room.
    #[error("no room left on the disk of {path}: free some and try again; nothing was half written")]
    Full {
        /// The store's file.
        path: PathBuf,
    },
    /// Another process has been writing for too long.
    #[error("another process of this profile keeps {path} locked: wait until it is done, or end it, and try again")]
    Busy {
        /// The store's file.
        path: PathBuf,
    },
    /// No right to write, or a read-only disk.
    #[error("{path} can't be written: check the rights of its folder")]
    Unwritable {
        /// The store's file.
        path: PathBuf,
    },
    /// Something else with a file.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Something else with the database.
    #[error("{path}: {source}; try again, and check the disk")]
    Database {
        /// The store's file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

impl StoreError {
    fn from_sqlite(source: rusqlite::Error, path: PathBuf) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::Unwritable { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { path },
            _ => Self::Database { path, source },
        }
    }

    fn from_io(source: io::Error, path: PathBuf) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Unwritable { path },
            _ => Self::File { path, source },
        }
    }
}

/// Says which file an error is about.
pub(super) trait Context<T> {
    fn at(self, path: &Path) -> Result<T, StoreError>;
}

impl<T> Context<T> for Result<T, rusqlite::Error> {
    fn at(self, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::from_sqlite(source, path.to_owned()))
    }
}

impl<T> Context<T> for Result<T, io::Error> {
    fn at(self, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::from_io(source, path.to_owned()))
    }
}
