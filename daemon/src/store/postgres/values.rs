//! Lists of ids as PostgreSQL takes them: `= ANY ($1)`, `unnest($1)`.

/// Ids to bind as one array.
pub(super) fn id_list<'a>(ids: impl IntoIterator<Item = &'a [u8; 16]>) -> Vec<&'a [u8]> {
    ids.into_iter().map(<[u8; 16]>::as_slice).collect()
}
