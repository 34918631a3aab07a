//! Reading and changing sealed rows within one transaction.

use super::{
    error::{Context, StoreError},
    table::{Order, Scan, Table},
};
use crate::{
    seal::{open, seal},
    secret::{SecretBytes, StorageKey},
};
use rusqlite::{Connection, OptionalExtension, Transaction};
use std::{ops::Deref, path::Path};

/// One state of a store.
pub struct Reader<'a> {
    connection: &'a Connection,
    key: &'a StorageKey,
    path: &'a Path,
}

/// A change of a store that is not yet done. Reads see what it has written.
pub struct Writer<'a>(Reader<'a>);

impl<'a> Reader<'a> {
    pub(super) fn new(transaction: &'a Transaction<'_>, key: &'a StorageKey, path: &'a Path) -> Self {
        Self {
            connection: transaction,
            key,
            path,
        }
    }

    /// A row's value.
    ///
    /// # Errors
    /// [`StoreError::Unopened`] for a value that was changed or moved; otherwise what the disk says.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<SecretBytes>, StoreError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT value FROM sealed WHERE tab = ?1 AND key = ?2")
            .at(self.path)?;
        let sealed: Option<Vec<u8>> = select.query_row((table.name(), key), |row| row.get(0)).optional().at(self.path)?;
        sealed.map(|sealed| self.opened(table, key, &sealed)).transpose()
    }

    /// Whether there is such a row.
    ///
    /// # Errors
    /// What the disk says.
    pub fn has(&self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT 1 FROM sealed WHERE tab = ?1 AND key = ?2")
            .at(self.path)?;
        select.exists((table.name(), key)).at(self.path)
    }

    /// Keys and values of some rows. They are in memory all at once: set a limit where there may be many.
    ///
    /// # Errors
    /// [`StoreError::Unopened`] for a value that was changed or moved; otherwise what the disk says.
    pub fn list(&self, table: Table, scan: Scan<'_>) -> Result<Vec<(Vec<u8>, SecretBytes)>, StoreError> {
        // Both bounds are the index's: a filter would walk over all rows of the table.
        let select = match (scan.order, scan.end()) {
            (Order::Ascending, Some(_)) => "SELECT key, value FROM sealed WHERE tab = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4",
            (Order::Ascending, None) => "SELECT key, value FROM sealed WHERE tab = ?1 AND key >= ?2 AND ?3 IS NULL ORDER BY key LIMIT ?4",
            (Order::Descending, Some(_)) => {
                "SELECT key, value FROM sealed WHERE tab = ?1 AND key >= ?2 AND key < ?3 ORDER BY key DESC LIMIT ?4"
            }
            (Order::Descending, None) => {
                "SELECT key, value FROM sealed WHERE tab = ?1 AND key >= ?2 AND ?3 IS NULL ORDER BY key DESC LIMIT ?4"
            }
        };
        let mut select = self.connection.prepare_cached(select).at(self.path)?;
        let mut rows = select.query((table.name(), scan.begin(), scan.end(), scan.limit)).at(self.path)?;
        let mut listed = Vec::new();
        while let Some(row) = rows.next().at(self.path)? {
            let key: Vec<u8> = row.get(0).at(self.path)?;
            let sealed: Vec<u8> = row.get(1).at(self.path)?;
            let value = self.opened(table, &key, &sealed)?;
            listed.push((key, value));
        }
        Ok(listed)
    }

    fn opened(&self, table: Table, key: &[u8], sealed: &[u8]) -> Result<SecretBytes, StoreError> {
        let plain = open(self.key.expose(), &table.additional_data(key), sealed);
        plain.map(SecretBytes::from).map_err(|_| StoreError::Unopened {
            path: self.path.to_owned(),
            table: table.name(),
        })
    }
}

impl<'a> Writer<'a> {
    pub(super) fn new(transaction: &'a Transaction<'_>, key: &'a StorageKey, path: &'a Path) -> Self {
        Self(Reader::new(transaction, key, path))
    }

    /// Writes a row, in place of one with the same key.
    ///
    /// # Errors
    /// [`StoreError::Full`], or what else the disk says.
    pub fn put(&self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let sealed = seal(self.key.expose(), &table.additional_data(key), value, &mut rand::rng());
        let mut upsert = self
            .connection
            .prepare_cached(
                "INSERT INTO sealed (tab, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (tab, key) DO UPDATE SET value = excluded.value",
            )
            .at(self.path)?;
        upsert.execute((table.name(), key, sealed)).map(drop).at(self.path)
    }

    /// Deletes a row; says whether there was one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn delete(&self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM sealed WHERE tab = ?1 AND key = ?2")
            .at(self.path)?;
        delete.execute((table.name(), key)).map(|rows| rows > 0).at(self.path)
    }
}

impl<'a> Deref for Writer<'a> {
    type Target = Reader<'a>;

    fn deref(&self) -> &Reader<'a> {
        &self.0
    }
}
