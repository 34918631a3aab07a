//! `conversations`: what an account is a member of, and its own logs.

use super::values::{self, LogKind};
use crate::store::{
    Denied, Result,
    logs::{Actor, ConversationsPage, Membership},
};
use fastchat_schema::Database;
use fastchat_wire::{
    AccountId, LogId,
    chat::conversations::{Conversation, LogBounds},
};
use sqlx::sqlite::SqliteRow;

/// A page, ordered by id.
pub(super) async fn conversations(database: &Database, account: AccountId, after: Option<LogId>, limit: u32) -> Result<ConversationsPage> {
    let rows = sqlx::query(
        "SELECT log.id, log.kind, log.last_seq, log.epoch, own.role, own.read, max(own.from_seq, log.first_seq) AS from_seq,
                (SELECT count(*) FROM members WHERE log_id = log.id AND through_seq IS NULL) AS members
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
    let asked = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(ConversationsPage {
        more: rows.len() > asked,
        conversations: rows.iter().take(asked).map(conversation).collect::<Result<_>>()?,
    })
}

fn conversation(row: &SqliteRow) -> Result<Conversation> {
    let LogKind::Conversation(kind) = values::log_kind(row, "kind")? else {
        return Err(values::inconsistent("an inbox or archive has members".to_owned()));
    };
    Ok(Conversation {
        conversation: values::id(row, "id")?,
        kind,
        role: values::role(row, "role")?,
        from_seq: values::number(row, "from_seq")?,
        last_seq: values::number(row, "last_seq")?,
        epoch: values::number(row, "epoch")?,
        members: values::number(row, "members")?,
        read: values::number(row, "read")?,
    })
}

/// Bounds of the device's inbox and of the account's archive.
pub(super) async fn own_logs(database: &Database, actor: Actor) -> Result<(LogBounds, LogBounds)> {
    let (inbox, archive) = (LogId::inbox_of(actor.device), LogId::archive_of(actor.account));
    let rows = sqlx::query("SELECT id, first_seq, last_seq FROM logs WHERE id IN (?1, ?2) AND account_id = ?2")
        .bind(inbox.0.as_slice())
        .bind(archive.0.as_slice())
        .fetch_all(database.readers())
        .await?;
    let bounds = rows.iter().map(|row| {
        Ok(LogBounds {
            log: values::id(row, "id")?,
            first_seq: values::number(row, "first_seq")?,
            last_seq: values::number(row, "last_seq")?,
        })
    });
    let bounds: Vec<LogBounds> = bounds.collect::<Result<_>>()?;
    let find = |log: LogId| bounds.iter().find(|bounds| bounds.log == log).cloned().ok_or(Denied::NotMember);
    Ok((find(inbox)?, find(archive)?))
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
    rows.iter().map(last_seq).collect()
}

/// Who of these accounts reads which conversation, and from where.
pub(super) async fn memberships(database: &Database, accounts: &[AccountId]) -> Result<Vec<Membership>> {
    let rows = sqlx::query(
        "SELECT log.id, log.last_seq, own.account_id, own.from_seq
         FROM json_each(?) AS account
         CROSS JOIN members AS own ON own.account_id = unhex(account.value) AND own.through_seq IS NULL
         CROSS JOIN logs AS log ON log.id = own.log_id",
    )
    .bind(values::id_list(accounts.iter().map(AccountId::as_bytes)))
    .fetch_all(database.readers())
    .await?;
    let membership = |row: &SqliteRow| {
        Ok(Membership {
            log: values::id(row, "id")?,
            account: values::id(row, "account_id")?,
            from_seq: values::number(row, "from_seq")?,
            last_seq: values::number(row, "last_seq")?,
        })
    };
    rows.iter().map(membership).collect()
}

/// Last numbers of the logs that exist.
pub(super) async fn last_seqs(database: &Database, logs: &[LogId]) -> Result<Vec<(LogId, u64)>> {
    let rows = sqlx::query("SELECT id, last_seq FROM logs WHERE id IN (SELECT unhex(value) FROM json_each(?))")
        .bind(values::id_list(logs.iter().map(LogId::as_bytes)))
        .fetch_all(database.readers())
        .await?;
    rows.iter().map(last_seq).collect()
}

fn last_seq(row: &SqliteRow) -> Result<(LogId, u64)> {
    Ok((values::id(row, "id")?, values::number(row, "last_seq")?))
}
