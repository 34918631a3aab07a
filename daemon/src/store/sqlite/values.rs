//! Between our types and SQLite's values.

use crate::store::{Result, StoreError};
use fastchat_wire::chat::{create::ConversationKind, members::Role};
use sqlx::{Row, sqlite::SqliteRow};
use std::fmt::Write;

/// An id's column.
pub(super) fn id<'r, T: TryFrom<&'r [u8]>>(row: &'r SqliteRow, column: &str) -> Result<T> {
    optional_id(row, column)?.ok_or_else(|| inconsistent(format!("{column} is null")))
}

/// An id's column that may be null.
pub(super) fn optional_id<'r, T: TryFrom<&'r [u8]>>(row: &'r SqliteRow, column: &str) -> Result<Option<T>> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    let parsed = bytes.map(T::try_from).transpose();
    parsed.map_err(|_| inconsistent(format!("{column} does not hold an id")))
}

/// A number's column.
pub(super) fn number(row: &SqliteRow, column: &str) -> Result<u64> {
    optional_number(row, column)?.ok_or_else(|| inconsistent(format!("{column} is null")))
}

/// A number's column that may be null.
pub(super) fn optional_number(row: &SqliteRow, column: &str) -> Result<Option<u64>> {
    let number: Option<i64> = row.try_get(column)?;
    let checked = number.map(u64::try_from).transpose();
    checked.map_err(|_| inconsistent(format!("{column} is negative")))
}

/// A number to bind. Ours are at most 2^53; a larger one compares as the largest.
pub(super) fn bindable(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Ids to bind as one parameter: `SELECT unhex(value) FROM json_each(?)`.
pub(super) fn id_list<'a>(ids: impl IntoIterator<Item = &'a [u8; 16]>) -> String {
    let mut list = String::from("[");
    for id in ids {
        list.push_str(if list.len() > 1 { ",\"" } else { "\"" });
        for byte in id {
            // Writing to a string does not fail.
            let _ = write!(list, "{byte:02x}");
        }
        list.push('"');
    }
    list.push(']');
    list
}

/// Ids out of `group_concat(hex(id), '')`.
pub(super) fn concatenated_ids<T: for<'b> TryFrom<&'b [u8]>>(row: &SqliteRow, column: &str) -> Result<Vec<T>> {
    let text: Option<&str> = row.try_get(column)?;
    let broken = || inconsistent(format!("{column} does not hold ids"));
    let text = text.unwrap_or_default().as_bytes();
    if !text.len().is_multiple_of(32) {
        return Err(broken());
    }
    let parse = |hex: &[u8]| {
        let mut id = [0; 16];
        for (byte, digits) in id.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        T::try_from(&id).ok()
    };
    text.chunks_exact(32).map(|hex| parse(hex).ok_or_else(broken)).collect()
}

/// A role's column value.
pub(super) fn role_text(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "admin",
    }
}

/// A role's column.
pub(super) fn role(row: &SqliteRow, column: &str) -> Result<Role> {
    match row.try_get::<&str, _>(column)? {
        "member" => Ok(Role::Member),
        "admin" => Ok(Role::Admin),
        other => Err(inconsistent(format!("{other} is no role"))),
    }
}

/// Which kind of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogKind {
    Conversation(ConversationKind),
    Inbox,
    Archive,
}

/// The kind's column of a conversation.
pub(super) fn kind_text(kind: ConversationKind) -> &'static str {
    match kind {
        ConversationKind::Direct => "direct",
        ConversationKind::Group => "group",
    }
}

/// A log's kind.
pub(super) fn log_kind(row: &SqliteRow, column: &str) -> Result<LogKind> {
    match row.try_get::<&str, _>(column)? {
        "direct" => Ok(LogKind::Conversation(ConversationKind::Direct)),
        "group" => Ok(LogKind::Conversation(ConversationKind::Group)),
        "inbox" => Ok(LogKind::Inbox),
        "archive" => Ok(LogKind::Archive),
        other => Err(inconsistent(format!("{other} is no kind of log"))),
    }
}

/// The store holds what it should not.
pub(super) fn inconsistent(what: String) -> StoreError {
    StoreError::Internal(what.into())
}
