//! Changes of membership or role, with the `member` entry that tells of them.

use super::{
    insert::{self, NewEntry},
    values::id_list,
};
use crate::store::{
    Result, entries,
    logs::{Actor, Written},
    standing::Standing,
    values::{bindable, role_text},
};
use fastchat_wire::{
    AccountId, EntryId, LogId,
    chat::entry::{Change, MemberChange},
};
use sqlx::SqliteConnection;

/// Applies changes to the members' rows: who comes reads from `from_seq`, who
/// goes through `through_seq`.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    log: LogId,
    changes: &[MemberChange],
    from_seq: u64,
    through_seq: u64,
) -> Result<()> {
    let of = |wanted: &[Change]| -> Vec<&MemberChange> { changes.iter().filter(|c| wanted.contains(&c.change)).collect() };
    let added = of(&[Change::Added]);
    if !added.is_empty() {
        sqlx::query(
            "INSERT INTO members (log_id, account_id, role, from_seq)
             SELECT ?1, unhex(value), 'member', ?3 FROM json_each(?2) WHERE true
             ON CONFLICT (log_id, account_id) DO UPDATE SET role = 'member', from_seq = excluded.from_seq, through_seq = NULL",
        )
        .bind(log.0.as_slice())
        .bind(accounts(&added))
        .bind(bindable(from_seq))
        .execute(&mut *connection)
        .await?;
    }
    let ended = of(&[Change::Removed, Change::Left]);
    if !ended.is_empty() {
        sqlx::query(
            "UPDATE members SET through_seq = ?3
             WHERE log_id = ?1 AND through_seq IS NULL AND account_id IN (SELECT unhex(value) FROM json_each(?2))",
        )
        .bind(log.0.as_slice())
        .bind(accounts(&ended))
        .bind(bindable(through_seq))
        .execute(&mut *connection)
        .await?;
    }
    // Roles last: a creator is added as admin, a successor may just have come.
    for (change, role) in changes.iter().filter_map(|change| Some((change, change.role?))) {
        if change.change == Change::Added && role == fastchat_wire::chat::members::Role::Member {
            continue;
        }
        sqlx::query("UPDATE members SET role = ?3 WHERE log_id = ?1 AND account_id = ?2")
            .bind(log.0.as_slice())
            .bind(change.account.0.as_slice())
            .bind(role_text(role))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

fn accounts(changes: &[&MemberChange]) -> String {
    id_list(changes.iter().map(|change| AccountId::as_bytes(&change.account)))
}

/// Writes changes with their `member` entry as the next one of the log.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    log: LogId,
    standing: &Standing,
    actor: Actor,
    member: EntryId,
    at: u64,
    changes: Vec<MemberChange>,
) -> Result<Vec<Written>> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let seq = standing.last_seq + 1;
    apply(connection, log, &changes, seq, seq).await?;
    let entry = entries::member_entry(log, seq, actor, member, at, changes)?;
    insert::insert(connection, &[NewEntry::from(&entry)]).await?;
    sqlx::query("UPDATE logs SET last_seq = ?2, members_seq = ?2 WHERE id = ?1")
        .bind(log.0.as_slice())
        .bind(bindable(seq))
        .execute(connection)
        .await?;
    Ok(vec![Written { entry, members_seq: seq }])
}
