//! `fetch`, and entries for pushing.

use super::values::{self, LogKind, bindable};
use crate::store::{
    Denied, Result,
    logs::{Actor, Entry, Page},
};
use fastchat_schema::Database;
use fastchat_wire::LogId;
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};
use std::sync::Arc;

/// What a reader may have of a log: from the first to the last, of which the
/// first is the last + 1 where there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    first: u64,
    last: u64,
}

/// A page after a cursor.
pub(super) async fn fetch(database: &Database, log: LogId, reader: Actor, after: u64, limit: u32, bytes_max: usize) -> Result<Page> {
    let pool = database.readers();
    // Within these bounds nothing changes any more, so the entries may be read
    // by another statement.
    let bounds = bounds(pool, log, reader).await?;
    let first = bounds.first.max(after.saturating_add(1));
    let entries = if first > bounds.last {
        Vec::new()
    } else {
        read_page(pool, log, first, bounds.last, limit, bytes_max).await?
    };
    let reached = entries.last().map_or(after, |entry| entry.seq);
    Ok(Page {
        more: reached < bounds.last,
        entries,
        first_seq: bounds.first,
        last_seq: bounds.last,
    })
}

async fn bounds(pool: &SqlitePool, log: LogId, reader: Actor) -> Result<Bounds> {
    let row = sqlx::query(
        "SELECT log.kind, log.account_id, log.first_seq, log.last_seq, member.from_seq, member.through_seq
         FROM logs AS log LEFT JOIN members AS member ON member.log_id = log.id AND member.account_id = ?2
         WHERE log.id = ?1",
    )
    .bind(log.0.as_slice())
    .bind(reader.account.0.as_slice())
    .fetch_optional(pool)
    .await?
    .ok_or(Denied::NotMember)?;
    let kept = Bounds {
        first: values::number(&row, "first_seq")?,
        last: values::number(&row, "last_seq")?,
    };
    let own = values::id::<fastchat_wire::AccountId>(&row, "account_id")? == reader.account;
    match values::log_kind(&row, "kind")? {
        LogKind::Inbox if own && log == LogId::inbox_of(reader.device) => Ok(kept),
        LogKind::Archive if own => Ok(kept),
        LogKind::Inbox | LogKind::Archive => Err(Denied::NotMember.into()),
        LogKind::Conversation(_) => {
            let from = values::optional_number(&row, "from_seq")?.ok_or(Denied::NotMember)?;
            Ok(clip(kept, from, values::optional_number(&row, "through_seq")?))
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

async fn read_page(pool: &SqlitePool, log: LogId, first: u64, last: u64, limit: u32, bytes_max: usize) -> Result<Vec<Entry>> {
    // Sizes come first: of what doesn't fit no byte is read.
    let rows = sqlx::query(
        "WITH sized AS (
             SELECT seq, length(block) AS size FROM entries WHERE log_id = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq LIMIT ?4
         ), summed AS (
             SELECT seq, sum(size) OVER (ORDER BY seq) AS total FROM sized
         )
         SELECT entry.*,
                CASE WHEN entry.kind = 'welcome' THEN
                    (SELECT group_concat(hex(device_id), '' ORDER BY device_id) FROM welcomes WHERE log_id = entry.log_id AND seq = entry.seq)
                END AS welcome_to
         FROM summed CROSS JOIN entries AS entry ON entry.log_id = ?1 AND entry.seq = summed.seq
         WHERE summed.total <= ?5 OR summed.seq = (SELECT min(seq) FROM sized)
         ORDER BY summed.seq",
    )
    .bind(log.0.as_slice())
    .bind(bindable(first))
    .bind(bindable(last))
    .bind(limit)
    .bind(i64::try_from(bytes_max).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &SqliteRow) -> Result<Entry> {
    Ok(Entry {
        log: values::id(row, "log_id")?,
        seq: values::number(row, "seq")?,
        at: values::number(row, "at")?,
        kind: Arc::from(row.try_get::<&str, _>("kind")?),
        entry: values::id(row, "entry_id")?,
        from: values::optional_id(row, "account_id")?,
        device: values::optional_id(row, "device_id")?,
        epoch: values::optional_number(row, "epoch")?,
        block: row.try_get::<Vec<u8>, _>("block")?.into(),
        welcome_to: values::concatenated_ids(row, "welcome_to")?.into(),
    })
}

/// Entries for pushing, whoever reads them.
pub(super) async fn entries(database: &Database, log: LogId, first: u64, last: u64, bytes_max: usize) -> Result<Vec<Entry>> {
    read_page(database.readers(), log, first, last, u32::MAX, bytes_max).await
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
