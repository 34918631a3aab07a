//! `fetch`, and entries for pushing.

use crate::store::{
    Denied, Result,
    logs::{Actor, Entry, Page},
    page::{self, Bounds},
    values::bindable,
};
use fastchat_schema::PostgresDatabase;
use fastchat_wire::LogId;
use sqlx::PgPool;

/// A page after a cursor.
pub(super) async fn fetch(
    database: &PostgresDatabase,
    log: LogId,
    reader: Actor,
    after: u64,
    limit: u32,
    bytes_max: usize,
) -> Result<Page> {
    let pool = database.pool();
    // Within these bounds nothing changes any more, so the entries may be read
    // by another statement.
    let bounds = bounds(pool, log, reader).await?;
    let first = bounds.first.max(after.saturating_add(1));
    let entries = if first > bounds.last {
        Vec::new()
    } else {
        read_page(pool, log, first, bounds.last, limit, bytes_max).await?
    };
    Ok(page::page(bounds, after, entries))
}

async fn bounds(pool: &PgPool, log: LogId, reader: Actor) -> Result<Bounds> {
    let row = sqlx::query(
        "SELECT log.kind, log.account_id, log.first_seq, log.last_seq, member.from_seq, member.through_seq
         FROM logs AS log LEFT JOIN members AS member ON member.log_id = log.id AND member.account_id = $2
         WHERE log.id = $1",
    )
    .bind(log.0.as_slice())
    .bind(reader.account.0.as_slice())
    .fetch_optional(pool)
    .await?
    .ok_or(Denied::NotMember)?;
    page::bounds(&row, log, reader)
}

async fn read_page(pool: &PgPool, log: LogId, first: u64, last: u64, limit: u32, bytes_max: usize) -> Result<Vec<Entry>> {
    // One walk along the index. A large block stands elsewhere (EXTERNAL): its length is
    // known without it, so of what doesn't fit no byte is read.
    let rows = sqlx::query(
        "SELECT entry.*,
                CASE WHEN entry.kind = 'welcome' THEN
                    (SELECT string_agg(encode(device_id, 'hex'), '' ORDER BY device_id) FROM welcomes WHERE log_id = entry.log_id AND seq = entry.seq)
                END AS welcome_to
         FROM (
             SELECT found.*, sum(length(block)) OVER along AS total, row_number() OVER along AS place
             FROM (SELECT * FROM entries WHERE log_id = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq LIMIT $4) AS found
             WINDOW along AS (ORDER BY seq)
         ) AS entry
         WHERE entry.total <= $5 OR entry.place = 1
         ORDER BY entry.seq",
    )
    .bind(log.0.as_slice())
    .bind(bindable(first))
    .bind(bindable(last))
    .bind(i64::from(limit))
    .bind(i64::try_from(bytes_max).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    rows.iter().map(page::entry).collect()
}

/// Entries for pushing, whoever reads them.
pub(super) async fn entries(database: &PostgresDatabase, log: LogId, first: u64, last: u64, bytes_max: usize) -> Result<Vec<Entry>> {
    read_page(database.pool(), log, first, last, u32::MAX, bytes_max).await
}
