//! Appends whose numbers come from memory: one statement, one round trip.

use super::memory::{Claim, Plan};
use crate::store::{logs::Append, values::bindable};
use sqlx::PgConnection;

/// Compares each log's row with what is assumed of it and moves it on, under its lock;
/// inserts the entries of the logs where it held. Answers the places of their claims.
///
/// A statement that waited for a lock sees the rest of the database as it was before.
/// That is no trap here: of the row that it waited for it sees the newest version, and
/// it reads nothing else. The rows are locked in the order of the claims.
const APPEND: &str = "
    WITH moved AS (
        UPDATE logs SET last_seq = claim.next_seq
        FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[])
             WITH ORDINALITY AS claim (log_id, last_seq, members_seq, next_seq, place)
        WHERE logs.id = claim.log_id AND logs.last_seq = claim.last_seq AND logs.members_seq = claim.members_seq
        RETURNING claim.log_id, claim.place
    ), written AS (
        INSERT INTO entries (log_id, seq, at, kind, entry_id, account_id, device_id, epoch, block)
        SELECT entry.*
        FROM unnest($5::bytea[], $6::bigint[], $7::bigint[], $8::text[], $9::bytea[], $10::bytea[], $11::bytea[], $12::bigint[], $13::bytea[])
             AS entry (log_id, seq, at, kind, entry_id, account_id, device_id, epoch, block)
        WHERE CASE WHEN entry.log_id IN (SELECT log_id FROM moved) THEN true END
    )
    SELECT array_agg(place) FROM moved";

/// Appends what a plan has numbered. True for each claim that held.
pub(super) async fn append(connection: &mut PgConnection, batch: &[Append], plan: &Plan) -> Result<Vec<bool>, sqlx::Error> {
    let claims = |of: fn(&Claim) -> u64| -> Vec<i64> { plan.claims.iter().map(|claim| bindable(of(claim))).collect() };
    let entries = || plan.numbered.iter().map(|numbered| &batch[numbered.place]);
    let ids = |of: fn(&Append) -> &[u8]| -> Vec<&[u8]> { entries().map(of).collect() };
    let held: Option<Vec<i64>> = sqlx::query_scalar(APPEND)
        .bind(plan.claims.iter().map(|claim| claim.log.0.as_slice()).collect::<Vec<_>>())
        .bind(claims(|claim| claim.last_seq))
        .bind(claims(|claim| claim.members_seq))
        .bind(claims(|claim| claim.next_seq))
        .bind(ids(|append| append.log.0.as_slice()))
        .bind(plan.numbered.iter().map(|numbered| bindable(numbered.seq)).collect::<Vec<_>>())
        .bind(entries().map(|append| bindable(append.at)).collect::<Vec<_>>())
        .bind(entries().map(|append| &*append.kind).collect::<Vec<&str>>())
        .bind(ids(|append| append.entry.0.as_slice()))
        .bind(ids(|append| append.account.0.as_slice()))
        .bind(ids(|append| append.device.0.as_slice()))
        .bind(entries().map(|append| append.epoch.map(bindable)).collect::<Vec<Option<i64>>>())
        .bind(ids(|append| &append.block))
        .fetch_one(connection)
        .await?;
    let mut holds = vec![false; plan.claims.len()];
    for place in held.unwrap_or_default() {
        let index = usize::try_from(place - 1).ok();
        if let Some(hold) = index.and_then(|index| holds.get_mut(index)) {
            *hold = true;
        }
    }
    Ok(holds)
}
