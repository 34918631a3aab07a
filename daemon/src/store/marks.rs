//! Watermarks, which move forward only.

use super::{Result, logs::Moved, values};
use fastchat_schema::Columns;

/// A member's watermarks, and the log's last number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Marks {
    delivered: u64,
    read: u64,
    last_seq: u64,
}

impl Marks {
    /// From a row.
    pub(in crate::store) fn read(row: &impl Columns) -> Result<Self> {
        Ok(Self {
            delivered: values::number(row, "delivered")?,
            read: values::number(row, "read")?,
            last_seq: values::number(row, "last_seq")?,
        })
    }

    /// What moves: forward only, and not beyond the last entry.
    pub(in crate::store) fn moved(self, delivered: Option<u64>, read: Option<u64>) -> Moved {
        let forward = |wanted: Option<u64>, stands: u64| wanted.map(|wanted| wanted.min(self.last_seq)).filter(|wanted| *wanted > stands);
        Moved {
            delivered: forward(delivered, self.delivered),
            read: forward(read, self.read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_move_forward_only_and_not_beyond_the_last_entry() {
        let marks = Marks {
            delivered: 5,
            read: 3,
            last_seq: 9,
        };
        for (delivered, read, expected) in [
            (None, None, (None, None)),
            (Some(5), Some(3), (None, None)),
            (Some(4), Some(2), (None, None)),
            (Some(6), Some(4), (Some(6), Some(4))),
            (Some(100), None, (Some(9), None)),
        ] {
            let moved = marks.moved(delivered, read);
            assert_eq!((moved.delivered, moved.read), expected, "{delivered:?} {read:?}");
        }
    }
}
