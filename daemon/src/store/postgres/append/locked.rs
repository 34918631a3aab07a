//! Appends that the database decides: one call of `append_batch`, which the schema
//! defines: lock, then check and write, one transaction and one round trip.

use crate::store::{
    Denied, Result,
    logs::{Append, Appended},
    values::{self, bindable},
};
use sqlx::{PgConnection, postgres::PgRow};

/// Appends; a row for each entry comes back, in order.
pub(super) async fn append(connection: &mut PgConnection, batch: &[&Append]) -> std::result::Result<Vec<PgRow>, sqlx::Error> {
    let ids = |of: fn(&Append) -> &[u8]| -> Vec<&[u8]> { batch.iter().copied().map(of).collect() };
    sqlx::query("SELECT place, outcome, seq, at, members_seq FROM append_batch($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(ids(|append| append.log.0.as_slice()))
        .bind(ids(|append| append.entry.0.as_slice()))
        .bind(batch.iter().map(|append| &*append.kind).collect::<Vec<&str>>())
        .bind(ids(|append| append.account.0.as_slice()))
        .bind(ids(|append| append.device.0.as_slice()))
        .bind(batch.iter().map(|append| append.epoch.map(bindable)).collect::<Vec<Option<i64>>>())
        .bind(batch.iter().map(|append| bindable(append.at)).collect::<Vec<i64>>())
        .bind(ids(|append| &append.block))
        .fetch_all(connection)
        .await
}

/// The answers in the rows.
pub(super) fn answers(rows: &[PgRow], count: usize) -> Result<Vec<std::result::Result<Appended, Denied>>> {
    if rows.len() != count {
        return Err(values::inconsistent(format!("{} answers to {count} appends", rows.len())));
    }
    rows.iter().map(answer).collect()
}

fn answer(row: &PgRow) -> Result<std::result::Result<Appended, Denied>> {
    let duplicate = match values::text(row, "outcome")? {
        "new" => false,
        "duplicate" => true,
        "not-member" => return Ok(Err(Denied::NotMember)),
        "forbidden" => return Ok(Err(Denied::Forbidden("only the server appends to an inbox"))),
        "epoch-conflict" => {
            return Ok(Err(Denied::EpochConflict {
                current: values::number(row, "seq")?,
            }));
        }
        other => return Err(values::inconsistent(format!("{other} is no outcome of an append"))),
    };
    Ok(Ok(Appended {
        seq: values::number(row, "seq")?,
        at: values::number(row, "at")?,
        duplicate,
        members_seq: values::number(row, "members_seq")?,
    }))
}
