//! The sealed store: everything that a device keeps, in one SQLite file of sealed values.
//!
//! ```text
//!  profile/                mode 0700
//!    store.db              mode 0600   table "sealed": tab, key, value
//!    store.db-wal, -shm                while somebody has it open
//!    storage.key           mode 0600   32 random bytes
//!
//!  value = AES-256-GCM(storage key, additional data = u8 length ‖ table ‖ key)
//! ```
//!
//! A row's table and key stand there in the clear: they are ids and numbers,
//! never content. A value moved to another row does not open.
//!
//! Several processes may have one store open (`listen` and `send` of one
//! profile). [`Store::write`] takes the only write lock at its start, so that
//! what it read is still so when it writes; [`Store::read`] sees one state of
//! the whole store. What matters together belongs into one `write`. A write
//! that has returned is on the disk: only then may its bytes go to the network.
//! Deleted values are overwritten (`secure_delete`), and the write-ahead log is
//! cut when it has been copied back.

mod error;
mod files;
mod schema;
mod table;
mod transaction;

pub use error::StoreError;
pub use table::{Order, Scan, Table};
pub use transaction::{Reader, Writer};

use crate::secret::StorageKey;
use error::Context;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a transaction waits for another process's write.
const BUSY: Duration = Duration::from_secs(10);

/// An open store. Synchronous: keep it off the async threads.
pub struct Store {
    open: Mutex<Open>,
    key: StorageKey,
    path: PathBuf,
}

struct Open {
    connection: Connection,
    /// A write-ahead log: what was not brought to the disk may be lost, but nothing else with it.
    write_ahead: bool,
    /// Writes are brought to the disk, as the connection is set now.
    durable: bool,
}

impl Store {
    /// Makes a profile's store, in a folder that is made, too.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where there is one already; otherwise what the disk says.
    pub fn create(folder: &Path) -> Result<Self, StoreError> {
        files::make_folder(folder)?;
        let path = files::store(folder);
        // Looked at before a key is made: a used store whose key was lost must not get another.
        if files::exists(&path)? && !schema::is_blank(&Self::database(&path)?).at(&path)? {
            return Err(StoreError::Exists { path });
        }
        let key = files::make_key(folder)?;
        files::make_empty(&path)?;
        Self::connect(path, key, schema::create)
    }

    /// Opens a profile's store.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is none; [`StoreError::Version`] for another version's;
    /// [`StoreError::KeyMissing`], [`StoreError::KeyExposed`] or [`StoreError::WrongKey`]; otherwise what the disk says.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = files::store(folder);
        if !files::exists(&path)? {
            return Err(StoreError::Missing { path });
        }
        Self::connect(path, files::read_key(folder)?, schema::check)
    }

    fn connect(
        path: PathBuf,
        key: StorageKey,
        prepare: impl FnOnce(&mut Connection, &StorageKey, &Path) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let mut connection = Self::database(&path)?;
        prepare(&mut connection, &key, &path)?;
        let write_ahead = schema::write_ahead(&connection).at(&path)?;
        Ok(Self {
            open: Mutex::new(Open {
                connection,
                write_ahead,
                durable: true,
            }),
            key,
            path,
        })
    }

    fn database(path: &Path) -> Result<Connection, StoreError> {
        // Without SQLITE_OPEN_CREATE: the file was made here, with its mode.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).at(path)?;
        connection.busy_timeout(BUSY).at(path)?;
        schema::settings(&connection).at(path)?;
        Ok(connection)
    }

    /// Reads one state of the store.
    ///
    /// Calling the store again within `read` would wait for itself for ever.
    ///
    /// # Errors
    /// What `work` returns, or [`StoreError`].
    pub fn read<T, E: From<StoreError>>(&self, work: impl FnOnce(&Reader<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut open = self.lock();
        let transaction = open
            .connection
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .at(&self.path)?;
        work(&Reader::new(&transaction, &self.key, &self.path))
    }

    /// Changes the store: all of it or, after an error or a crash, nothing of it.
    ///
    /// It is durable once this has returned `Ok`. Calling the store again within `work` would wait for itself for ever.
    ///
    /// # Errors
    /// What `work` returns, or [`StoreError`]; then nothing was written.
    pub fn write<T, E: From<StoreError>>(&self, work: impl FnOnce(&Writer<'_>) -> Result<T, E>) -> Result<T, E> {
        self.write_as(true, work)
    }

    /// The same for what may be forgotten by a power cut, with nothing of before: it is not waited for the disk. The
    /// end of this process, however sudden, loses nothing.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_lazily<T, E: From<StoreError>>(&self, work: impl FnOnce(&Writer<'_>) -> Result<T, E>) -> Result<T, E> {
        self.write_as(false, work)
    }

    fn write_as<T, E: From<StoreError>>(&self, durable: bool, work: impl FnOnce(&Writer<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut open = self.lock();
        open.set_durable(durable).at(&self.path)?;
        let transaction = open
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .at(&self.path)?;
        let done = work(&Writer::new(&transaction, &self.key, &self.path))?;
        transaction.commit().at(&self.path)?;
        Ok(done)
    }

    /// A number that changes when another connection (another process, say) has written.
    ///
    /// # Errors
    /// [`StoreError`]: what the disk says.
    pub fn foreign_changes(&self) -> Result<u64, StoreError> {
        let open = self.lock();
        let mut version = open.connection.prepare_cached("PRAGMA data_version").at(&self.path)?;
        let version: i64 = version.query_row((), |row| row.get(0)).at(&self.path)?;
        Ok(version.unsigned_abs())
    }

    /// The store's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    // A panic within a transaction has rolled it back: the connection is sound.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// How the next writes are made.
    fn set_durable(&mut self, durable: bool) -> rusqlite::Result<()> {
        let durable = durable || !self.write_ahead;
        if durable != self.durable {
            schema::set_durable(&self.connection, durable)?;
            self.durable = durable;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
