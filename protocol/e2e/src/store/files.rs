//! The files of a profile: their names, modes, and the storage key.

use super::error::{Context, StoreError};
use crate::secret::StorageKey;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const STORE: &str = "store.db";
const KEY: &str = "storage.key";

pub(super) fn store(folder: &Path) -> PathBuf {
    folder.join(STORE)
}

pub(super) fn exists(path: &Path) -> Result<bool, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len() > 0),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).at(path),
    }
}

pub(super) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).at(folder)
}

/// An empty file with the right mode: SQLite gives its other files the same.
pub(super) fn make_empty(path: &Path) -> Result<(), StoreError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .at(path)
}

/// Draws the storage key; where a sign-up was cut off after this step, takes the one that is there.
pub(super) fn make_key(folder: &Path) -> Result<StorageKey, StoreError> {
    let path = folder.join(KEY);
    let key = StorageKey::random(&mut rand::rng());
    // Written in full under another name first: under its own it is always whole.
    let whole = folder.join(format!("{KEY}.{}", std::process::id()));
    let written = write_key(&whole, &key).and_then(|()| fs::hard_link(&whole, &path));
    fs::remove_file(&whole).or_else(not_found_is_fine).at(&whole)?;
    match written {
        Ok(()) => {
            File::open(folder).and_then(|folder| folder.sync_all()).at(folder)?;
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read_key(folder),
        Err(error) => Err(error).at(&path),
    }
}

pub(super) fn read_key(folder: &Path) -> Result<StorageKey, StoreError> {
    let path = folder.join(KEY);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(StoreError::KeyMissing { path }),
        Err(error) => return Err(error).at(&path),
    };
    let metadata = file.metadata().at(&path)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(StoreError::KeyExposed { path, mode });
    }
    let mut bytes = Zeroizing::new([0; 32]);
    match file.read_exact(&mut *bytes) {
        Ok(()) if metadata.len() == 32 => Ok(StorageKey::new(*bytes)),
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(error).at(&path),
        _ => Err(StoreError::Damaged { path }),
    }
}

fn write_key(path: &Path, key: &StorageKey) -> io::Result<()> {
    fs::remove_file(path).or_else(not_found_is_fine)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key.expose())?;
    file.sync_all()
}

fn not_found_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
