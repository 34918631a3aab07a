//! Lists of ids, for which SQLite has no type.

use std::fmt::Write;

/// Ids to bind as one parameter: `SELECT unhex(value) FROM json_each(?)`.
pub(super) fn id_list<'a>(ids: impl IntoIterator<Item = &'a [u8; 16]>) -> String {
    let mut list = String::from("[");
    for id in ids {
        separate(&mut list);
        push_id(&mut list, id);
    }
    list.push(']');
    list
}

/// Ids with a number each, likewise: `unhex(key)` and `value`. An id is there once.
pub(super) fn number_of_each<'a>(numbers: impl IntoIterator<Item = (&'a [u8; 16], u64)>) -> String {
    let mut object = String::from("{");
    for (id, number) in numbers {
        separate(&mut object);
        push_id(&mut object, id);
        // Writing to a string does not fail.
        let _ = write!(object, ":{number}");
    }
    object.push('}');
    object
}

fn separate(json: &mut String) {
    if json.len() > 1 {
        json.push(',');
    }
}

fn push_id(json: &mut String, id: &[u8; 16]) {
    json.push('"');
    for byte in id {
        // As above.
        let _ = write!(json, "{byte:02x}");
    }
    json.push('"');
}
