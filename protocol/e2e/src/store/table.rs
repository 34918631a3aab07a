//! Tables of a store, and how to walk through one.

/// A table: a name under which rows have keys of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Table(&'static str);

impl Table {
    /// Names a table. Fails to compile, in a constant, for a name beyond 255 bytes.
    ///
    /// # Panics
    /// For a name that is empty or has more than 255 bytes.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(!name.is_empty() && name.len() <= 255, "a table's name has 1 to 255 bytes");
        Self(name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// What a value of this row is bound to.
    pub(super) fn additional_data(self, key: &[u8]) -> Vec<u8> {
        // `new` has seen to the length.
        [&[self.0.len() as u8][..], self.0.as_bytes(), key].concat()
    }
}

/// In which order of their keys (byte by byte) rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the least key.
    Ascending,
    /// From the greatest key.
    Descending,
}

/// Which rows of a table, in which order.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// Rows whose key starts so; empty for all.
    pub prefix: &'a [u8],
    /// Only rows that come after this key in the order asked for: where the page before ended.
    pub after: Option<&'a [u8]>,
    /// The order.
    pub order: Order,
    /// At most so many rows.
    pub limit: u32,
}

impl<'a> Scan<'a> {
    /// All rows whose key starts so, in ascending order.
    #[must_use]
    pub fn prefix(prefix: &'a [u8]) -> Self {
        Self {
            prefix,
            after: None,
            order: Order::Ascending,
            limit: u32::MAX,
        }
    }

    /// The newest rows first, where keys end in a growing number.
    #[must_use]
    pub fn newest(prefix: &'a [u8], limit: u32) -> Self {
        Self {
            prefix,
            after: None,
            order: Order::Descending,
            limit,
        }
    }

    /// The least key that is asked for, if it is there.
    pub(super) fn begin(&self) -> Vec<u8> {
        match (self.order, self.after) {
            // The next key after another one is that one with a zero behind it.
            (Order::Ascending, Some(after)) if after >= self.prefix => [after, &[0]].concat(),
            _ => self.prefix.to_vec(),
        }
    }

    /// The least key that comes after all that is asked for; `None` where there is none.
    pub(super) fn end(&self) -> Option<Vec<u8>> {
        match (self.order, self.after, self.end_of_prefix()) {
            (Order::Descending, Some(after), Some(end)) => Some(end.min(after.to_vec())),
            (Order::Descending, Some(after), None) => Some(after.to_vec()),
            (_, _, end) => end,
        }
    }

    fn end_of_prefix(&self) -> Option<Vec<u8>> {
        let grows = self.prefix.iter().rposition(|byte| *byte != u8::MAX)?;
        let mut end = self.prefix[..=grows].to_vec();
        end[grows] += 1;
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_its_last_byte_that_can_grow_has_grown() {
        assert_eq!(Scan::prefix(b"ab").end(), Some(b"ac".to_vec()));
        assert_eq!(Scan::prefix(&[1, 255, 255]).end(), Some(vec![2]));
        assert_eq!(Scan::prefix(&[255]).end(), None);
        assert_eq!(Scan::prefix(&[]).end(), None);
    }

    #[test]
    fn a_page_begins_right_behind_the_one_before_it_and_stays_within_the_prefix() {
        let ascending = |prefix, after| {
            let scan = Scan {
                after: Some(after),
                ..Scan::prefix(prefix)
            };
            (scan.begin(), scan.end())
        };
        assert_eq!(ascending(b"ab", b"abc"), (b"abc\0".to_vec(), Some(b"ac".to_vec())));
        assert_eq!(ascending(b"ab", b"aa"), (b"ab".to_vec(), Some(b"ac".to_vec())));
        assert_eq!(ascending(b"", b"x"), (b"x\0".to_vec(), None));
        let descending = |prefix, after| {
            let scan = Scan {
                after: Some(after),
                ..Scan::newest(prefix, 1)
            };
            (scan.begin(), scan.end())
        };
        assert_eq!(descending(b"ab", b"abc"), (b"ab".to_vec(), Some(b"abc".to_vec())));
        assert_eq!(descending(b"ab", b"b"), (b"ab".to_vec(), Some(b"ac".to_vec())));
        assert_eq!(descending(b"", b"x"), (Vec::new(), Some(b"x".to_vec())));
    }

    #[test]
    fn no_two_rows_share_additional_data() {
        let a = Table::new("ab").additional_data(b"c");
        assert_ne!(a, Table::new("a").additional_data(b"bc"));
    }
}
