//! `members`: who belongs to a conversation; and its roster, for pushing.

use crate::store::{
    Denied, Result, listing,
    logs::{MembersPage, Now, Roster},
};
use fastchat_schema::Database;
use fastchat_wire::{AccountId, LogId};

/// A page of present members, ordered by account, for one of them.
pub(super) async fn members(
    database: &Database,
    conversation: LogId,
    account: AccountId,
    after: Option<AccountId>,
    limit: u32,
) -> Result<MembersPage> {
    let mut snapshot = database.readers().begin().await?;
    sqlx::query("SELECT 1 FROM members WHERE log_id = ? AND account_id = ? AND through_seq IS NULL")
        .bind(conversation.0.as_slice())
        .bind(account.0.as_slice())
        .fetch_optional(&mut *snapshot)
        .await?
        .ok_or(Denied::NotMember)?;
    let rows = sqlx::query(
        "SELECT member.account_id, account.username, member.role, member.read, member.delivered,
                (SELECT group_concat(hex(id), '' ORDER BY id) FROM devices WHERE account_id = member.account_id) AS devices
         FROM members AS member JOIN accounts AS account ON account.id = member.account_id
         WHERE member.log_id = ?1 AND member.through_seq IS NULL AND member.account_id > ?2
         ORDER BY member.account_id LIMIT ?3",
    )
    .bind(conversation.0.as_slice())
    .bind(after.as_ref().map_or(&[][..], |after| after.0.as_slice()))
    // One more than asked for, to know whether there are more.
    .bind(i64::from(limit) + 1)
    .fetch_all(&mut *snapshot)
    .await?;
    listing::members(&rows, limit)
}

/// Who gets a log's pushes.
pub(super) async fn roster(database: &Database, log: LogId) -> Result<Roster> {
    let rows = sqlx::query(
        "SELECT log.kind, log.account_id AS owner, log.members_seq, member.account_id, member.from_seq, member.through_seq
         FROM logs AS log LEFT JOIN members AS member ON member.log_id = log.id
         WHERE log.id = ?",
    )
    .bind(log.0.as_slice())
    .fetch_all(database.readers())
    .await?;
    listing::roster(log, &rows)
}

/// A conversation as it is now, for a present member.
pub(super) async fn now(database: &Database, conversation: LogId, account: AccountId) -> Result<Now> {
    let row = sqlx::query(
        "SELECT log.epoch, log.members_seq FROM members AS own JOIN logs AS log ON log.id = own.log_id
         WHERE own.log_id = ? AND own.account_id = ? AND own.through_seq IS NULL",
    )
    .bind(conversation.0.as_slice())
    .bind(account.0.as_slice())
    .fetch_optional(database.readers())
    .await?
    .ok_or(Denied::NotMember)?;
    listing::now(&row)
}
