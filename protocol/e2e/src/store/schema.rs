//! The store's tables, its version, and the settings of a connection.

use super::{
    error::{Context, StoreError},
    table::Table,
};
use crate::{
    seal::{open, seal},
    secret::StorageKey,
};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, config::DbConfig};
use std::path::Path;

/// The version of this client's stores. Another one is refused, never guessed at.
const VERSION: i64 = 1;
/// "FCst": tells a FastChat store from other SQLite files.
const APPLICATION: i64 = 0x4643_7374;

/// Of a seal in it is known whether the storage key is this store's.
const STORE: Table = Table::new("store");
const CHECK: &[u8] = b"check";

/// `FULL`: a message whose state was lost in a power cut would be sealed again with the same key and nonce.
///
/// Stable plans: else each statement with a range is compiled again for each range.
pub(super) fn settings(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    set_durable(connection, true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "journal_size_limit", 0)?;
    connection.pragma_update(None, "wal_autocheckpoint", 256)
}

/// Whether a write waits for the disk. Without, and with a write-ahead log, a power cut may undo the last writes.
pub(super) fn set_durable(connection: &Connection, durable: bool) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })
}

/// Readers go on while somebody writes. Set once the tables are there: a file without them is blank, whatever was cut off.
/// Says whether it is so.
pub(super) fn write_ahead(connection: &Connection) -> rusqlite::Result<bool> {
    // Not every file system has what WAL needs; SQLite then keeps its rollback journal, which is as safe.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| {
        let mode: String = row.get(0)?;
        Ok(mode.eq_ignore_ascii_case("wal"))
    })
}

/// Whether there is nothing in a database yet.
pub(super) fn is_blank(connection: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    Ok(tables == 0 && version(connection)? == (0, 0))
}

pub(super) fn create(connection: &mut Connection, key: &StorageKey, path: &Path) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).at(path)?;
    if !is_blank(&transaction).at(path)? {
        return Err(StoreError::Exists { path: path.to_owned() });
    }
    let tables = "CREATE TABLE sealed (tab TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (tab, key)) STRICT;";
    transaction.execute_batch(tables).at(path)?;
    transaction.pragma_update(None, "application_id", APPLICATION).at(path)?;
    transaction.pragma_update(None, "user_version", VERSION).at(path)?;
    let value = seal(key.expose(), &STORE.additional_data(CHECK), CHECK, &mut rand::rng());
    let insert = "INSERT INTO sealed (tab, key, value) VALUES (?1, ?2, ?3)";
    transaction.execute(insert, (STORE.name(), CHECK, value)).at(path)?;
    transaction.commit().at(path)
}

pub(super) fn check(connection: &mut Connection, key: &StorageKey, path: &Path) -> Result<(), StoreError> {
    if is_blank(connection).at(path)? {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    let (application, found) = version(connection).at(path)?;
    if application != APPLICATION {
        return Err(StoreError::Damaged { path: path.to_owned() });
    }
    if found != VERSION {
        return Err(StoreError::Version {
            path: path.to_owned(),
            found,
            known: VERSION,
        });
    }
    let select = "SELECT value FROM sealed WHERE tab = ?1 AND key = ?2";
    let value: Option<Vec<u8>> = connection
        .query_row(select, (STORE.name(), CHECK), |row| row.get(0))
        .optional()
        .at(path)?;
    let value = value.ok_or_else(|| StoreError::Damaged { path: path.to_owned() })?;
    match open(key.expose(), &STORE.additional_data(CHECK), &value) {
        Ok(_) => Ok(()),
        Err(_) => Err(StoreError::WrongKey { path: path.to_owned() }),
    }
}

fn version(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    Ok((
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?,
        connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
    ))
}
