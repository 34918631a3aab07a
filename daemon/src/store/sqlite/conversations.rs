//! `conversations`: what an account is a member of, and its own logs.

use super::values::{id_list, number_of_each};
use crate::store::{
    Result, listing,
    logs::{Actor, ConversationsPage, Membership},
};
use fastchat_schema::Database;
use fastchat_wire::{AccountId, LogId, chat::conversations::LogBounds};

/// A page, ordered by id.
pub(super) async fn conversations(database: &Database, account: AccountId, after: Option<LogId>, limit: u32) -> Result<ConversationsPage> {
    let rows = sqlx::query(
        "SELECT log.id, log.kind, log.last_seq, log.epoch, own.role, own.read, max(own.from_seq, log.first_seq) AS from_seq,
                (SELECT count(*) FROM members WHERE log_id = log.id AND through_seq IS NULL) AS members,
                (SELECT account_id FROM members WHERE log_id = log.id AND log.kind = 'direct' AND account_id <> ?1) AS contact
         FROM members AS own JOIN logs AS log ON log.id = own.log_id
         WHERE own.account_id = ?1 AND own.through_seq IS NULL AND own.log_id > ?2
         ORDER BY own.log_id LIMIT ?3",
    )
    .bind(account.0.as_slice())
    .bind(after.as_ref().map_or(&[][..], |after| after.0.as_slice()))
    // One more than asked for, to know whether there are more.
    .bind(i64::from(limit) + 1)
    .fetch_all(database.readers())
    .await?;
    listing::conversations(&rows, limit)
}

/// Bounds of the device's inbox and of the account's archive.
pub(super) async fn own_logs(database: &Database, actor: Actor) -> Result<(LogBounds, LogBounds)> {
    let (inbox, archive) = (LogId::inbox_of(actor.device), LogId::archive_of(actor.account));
    let rows = sqlx::query("SELECT id, first_seq, last_seq FROM logs WHERE id IN (?1, ?2) AND account_id = ?2")
        .bind(inbox.0.as_slice())
        .bind(archive.0.as_slice())
        .fetch_all(database.readers())
        .await?;
    listing::own_logs(&rows, actor)
}

/// What a device's connection receives pushes of, with the last numbers.
pub(super) async fn logs_of(database: &Database, actor: Actor) -> Result<Vec<(LogId, u64)>> {
    let rows = sqlx::query(
        "SELECT log.id, log.last_seq FROM members AS own JOIN logs AS log ON log.id = own.log_id
         WHERE own.account_id = ?1 AND own.through_seq IS NULL
         UNION ALL
         SELECT id, last_seq FROM logs WHERE id IN (?1, ?2) AND account_id = ?1",
    )
    .bind(actor.account.0.as_slice())
    .bind(actor.device.0.as_slice())
    .fetch_all(database.readers())
    .await?;
    rows.iter().map(listing::last_seq).collect()
}

/// Who of these accounts reads which conversation, and from where.
pub(super) async fn memberships(database: &Database, accounts: &[AccountId]) -> Result<Vec<Membership>> {
    let rows = sqlx::query(
        "SELECT log.id, log.last_seq, own.account_id, own.from_seq
         FROM json_each(?) AS account
         CROSS JOIN members AS own ON own.account_id = unhex(account.value) AND own.through_seq IS NULL
         CROSS JOIN logs AS log ON log.id = own.log_id",
    )
    .bind(id_list(accounts.iter().map(AccountId::as_bytes)))
    .fetch_all(database.readers())
    .await?;
    rows.iter().map(listing::membership).collect()
}

/// Those that go on behind a number, with their last ones.
pub(super) async fn beyond(database: &Database, known: &[(LogId, u64)]) -> Result<Vec<(LogId, u64)>> {
    let rows = sqlx::query(
        "SELECT log.id, log.last_seq FROM json_each(?) AS known
         CROSS JOIN logs AS log ON log.id = unhex(known.key) AND log.last_seq > known.value",
    )
    .bind(number_of_each(known.iter().map(|(log, seq)| (log.as_bytes(), *seq))))
    .fetch_all(database.readers())
    .await?;
    rows.iter().map(listing::last_seq).collect()
}

/// Versions of the rosters of the logs that exist.
pub(super) async fn roster_versions(database: &Database, logs: &[LogId]) -> Result<Vec<(LogId, u64)>> {
    let rows = sqlx::query("SELECT id, members_seq FROM logs WHERE id IN (SELECT unhex(value) FROM json_each(?))")
        .bind(id_list(logs.iter().map(LogId::as_bytes)))
        .fetch_all(database.readers())
        .await?;
    rows.iter().map(listing::roster_version).collect()
}
