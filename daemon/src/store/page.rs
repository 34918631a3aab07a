//! What a reader may have of a log, and the entries of a page.

use super::{
    Denied, Result,
    logs::{Actor, Entry, Page},
    values::{self, LogKind},
};
use fastchat_schema::Columns;
use fastchat_wire::{AccountId, LogId};
use std::sync::Arc;

/// What a reader may have of a log: from the first to the last, of which the
/// first is the last + 1 where there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Bounds {
    pub(in crate::store) first: u64,
    pub(in crate::store) last: u64,
}

/// From a log's row with the reader's membership. Denied: `not-member`.
pub(in crate::store) fn bounds(row: &impl Columns, log: LogId, reader: Actor) -> Result<Bounds> {
    let kept = Bounds {
        first: values::number(row, "first_seq")?,
        last: values::number(row, "last_seq")?,
    };
    let own = values::id::<AccountId>(row, "account_id")? == reader.account;
    match values::log_kind(row, "kind")? {
        LogKind::Inbox if own && log == LogId::inbox_of(reader.device) => Ok(kept),
        LogKind::Archive if own => Ok(kept),
        LogKind::Inbox | LogKind::Archive => Err(Denied::NotMember.into()),
        LogKind::Conversation(_) => {
            let from = values::optional_number(row, "from_seq")?.ok_or(Denied::NotMember)?;
            Ok(clip(kept, from, values::optional_number(row, "through_seq")?))
        }
    }
}

/// What is kept, clipped to what a member may read.
fn clip(kept: Bounds, from: u64, through: Option<u64>) -> Bounds {
    let last = through.map_or(kept.last, |through| through.min(kept.last));
    Bounds {
        first: kept.first.max(from).min(last + 1),
        last,
    }
}

/// The page that was read after a cursor.
pub(in crate::store) fn page(bounds: Bounds, after: u64, entries: Vec<Entry>) -> Page {
    let reached = entries.last().map_or(after, |entry| entry.seq);
    Page {
        more: reached < bounds.last,
        entries,
        first_seq: bounds.first,
        last_seq: bounds.last,
    }
}

/// An entry's row.
pub(in crate::store) fn entry(row: &impl Columns) -> Result<Entry> {
    Ok(Entry {
        log: values::id(row, "log_id")?,
        seq: values::number(row, "seq")?,
        at: values::number(row, "at")?,
        kind: Arc::from(values::text(row, "kind")?),
        entry: values::id(row, "entry_id")?,
        from: values::optional_id(row, "account_id")?,
        device: values::optional_id(row, "device_id")?,
        epoch: values::optional_number(row, "epoch")?,
        block: values::bytes(row, "block")?.to_vec().into(),
        welcome_to: values::concatenated_ids(row, "welcome_to")?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_clipped_to_what_a_member_may_read() {
        let kept = Bounds { first: 3, last: 9 };
        for (from, through, first, last) in [
            (1, None, 3, 9),
            (5, None, 5, 9),
            (5, Some(7), 5, 7),
            (1, Some(2), 3, 2),
            (1, Some(1), 2, 1),
            (9, Some(12), 9, 9),
        ] {
            assert_eq!(clip(kept, from, through), Bounds { first, last }, "{from} {through:?}");
        }
    }
}
