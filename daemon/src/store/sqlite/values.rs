//! Lists of ids, for which SQLite has no type.

use std::fmt::Write;

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
