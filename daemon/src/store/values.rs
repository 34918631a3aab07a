//! Between our types and a database's values, whichever it is.

use super::{Result, StoreError};
use fastchat_schema::Columns;
use fastchat_wire::chat::{create::ConversationKind, members::Role};

/// An id's column.
pub(in crate::store) fn id<'r, T: TryFrom<&'r [u8]>>(row: &'r impl Columns, column: &str) -> Result<T> {
    optional_id(row, column)?.ok_or_else(|| inconsistent(format!("{column} is null")))
}

/// An id's column that may be null.
pub(in crate::store) fn optional_id<'r, T: TryFrom<&'r [u8]>>(row: &'r impl Columns, column: &str) -> Result<Option<T>> {
    let bytes = row.bytes(column)?;
    let parsed = bytes.map(T::try_from).transpose();
    parsed.map_err(|_| inconsistent(format!("{column} does not hold an id")))
}

/// A text's column.
pub(in crate::store) fn text<'r>(row: &'r impl Columns, column: &str) -> Result<&'r str> {
    row.text(column)?.ok_or_else(|| inconsistent(format!("{column} is null")))
}

/// A column of bytes.
pub(in crate::store) fn bytes<'r>(row: &'r impl Columns, column: &str) -> Result<&'r [u8]> {
    row.bytes(column)?.ok_or_else(|| inconsistent(format!("{column} is null")))
}

/// A flag's column.
pub(in crate::store) fn flag(row: &impl Columns, column: &str) -> Result<bool> {
    row.flag(column)?.ok_or_else(|| inconsistent(format!("{column} is null")))
}

/// A number's column.
pub(in crate::store) fn number(row: &impl Columns, column: &str) -> Result<u64> {
    optional_number(row, column)?.ok_or_else(|| inconsistent(format!("{column} is null")))
}

/// A number's column that may be null.
pub(in crate::store) fn optional_number(row: &impl Columns, column: &str) -> Result<Option<u64>> {
    let number = row.integer(column)?;
    let checked = number.map(u64::try_from).transpose();
    checked.map_err(|_| inconsistent(format!("{column} is negative")))
}

/// A number to bind. Ours are at most 2^53; a larger one compares as the largest.
pub(in crate::store) fn bindable(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Ids out of one text of hexadecimal digits.
pub(in crate::store) fn concatenated_ids<T: for<'b> TryFrom<&'b [u8]>>(row: &impl Columns, column: &str) -> Result<Vec<T>> {
    let text = row.text(column)?;
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
pub(in crate::store) fn role_text(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "admin",
    }
}

/// A role's column.
pub(in crate::store) fn role(row: &impl Columns, column: &str) -> Result<Role> {
    match text(row, column)? {
        "member" => Ok(Role::Member),
        "admin" => Ok(Role::Admin),
        other => Err(inconsistent(format!("{other} is no role"))),
    }
}

/// Which kind of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum LogKind {
    Conversation(ConversationKind),
    Inbox,
    Archive,
}

/// The kind's column of a conversation.
pub(in crate::store) fn kind_text(kind: ConversationKind) -> &'static str {
    match kind {
        ConversationKind::Direct => "direct",
        ConversationKind::Group => "group",
    }
}

/// A log's kind.
pub(in crate::store) fn log_kind(row: &impl Columns, column: &str) -> Result<LogKind> {
    match text(row, column)? {
        "direct" => Ok(LogKind::Conversation(ConversationKind::Direct)),
        "group" => Ok(LogKind::Conversation(ConversationKind::Group)),
        "inbox" => Ok(LogKind::Inbox),
        "archive" => Ok(LogKind::Archive),
        other => Err(inconsistent(format!("{other} is no kind of log"))),
    }
}

/// The store holds what it should not.
pub(in crate::store) fn inconsistent(what: String) -> StoreError {
    StoreError::Internal(what.into())
}
