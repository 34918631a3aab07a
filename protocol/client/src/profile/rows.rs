//! Rows of the sealed store as JSON.

use crate::problem::Problem;
use fastchat_e2e::store::{Reader, Table, Writer};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

/// The only row of a table.
pub(super) const ONLY: &[u8] = b"";

/// Reads a row; none where there is none.
pub(super) fn get<T: DeserializeOwned>(tx: &Reader<'_>, table: Table, key: &[u8]) -> Result<Option<T>, Problem> {
    let row = tx.get(table, key)?;
    row.map(|row| parse(table, row.expose())).transpose()
}

/// Writes a row.
pub(super) fn put<T: Serialize>(tx: &Writer<'_>, table: Table, key: &[u8], value: &T) -> Result<(), Problem> {
    let row = serde_json::to_vec(value).map(Zeroizing::new).map_err(|_| damaged(table))?;
    Ok(tx.put(table, key, &row)?)
}

/// Reads what a row holds.
pub(super) fn parse<T: DeserializeOwned>(table: Table, row: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(row).map_err(|_| damaged(table))
}

/// A number that is a row's value or key.
pub(super) fn number(table: Table, bytes: &[u8]) -> Result<u64, Problem> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| damaged(table))
}

/// A row of another version of this program.
pub(super) fn damaged(table: Table) -> Problem {
    Problem::declined(
        "profile-damaged",
        format!(
            "the profile has a row in table {} that this version can't read: use the version that wrote it, or a new profile",
            table.name()
        ),
    )
}
