//! `members`: who belongs to a conversation; and its roster, for pushing.

use super::values::{self, LogKind};
use crate::store::{
    Denied, Result,
    logs::{MembersPage, Roster, RosterMember},
};
use fastchat_schema::Database;
use fastchat_wire::{AccountId, DeviceId, LogId, chat::members::Member};
use sqlx::{Row, sqlite::SqliteRow};

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
    let asked = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(MembersPage {
        more: rows.len() > asked,
        members: rows.iter().take(asked).map(member).collect::<Result<_>>()?,
    })
}

fn member(row: &SqliteRow) -> Result<Member> {
    let username: &str = row.try_get("username")?;
    Ok(Member {
        account: values::id(row, "account_id")?,
        username: username
            .parse()
            .map_err(|_| values::inconsistent("a stored username is none".to_owned()))?,
        role: values::role(row, "role")?,
        devices: values::concatenated_ids(row, "devices")?,
        read: values::number(row, "read")?,
        delivered: values::number(row, "delivered")?,
    })
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
    let mut roster = Roster {
        log,
        members_seq: 0,
        only_device: None,
        members: Vec::with_capacity(rows.len()),
    };
    for row in &rows {
        let kind = values::log_kind(row, "kind")?;
        if kind == LogKind::Inbox {
            roster.only_device = Some(DeviceId(log.0));
        }
        roster.members_seq = values::number(row, "members_seq")?;
        roster.members.extend(match kind {
            LogKind::Inbox | LogKind::Archive => Some(RosterMember {
                account: values::id(row, "owner")?,
                from_seq: 1,
                through_seq: None,
            }),
            LogKind::Conversation(_) => roster_member(row)?,
        });
    }
    Ok(roster)
}

fn roster_member(row: &SqliteRow) -> Result<Option<RosterMember>> {
    let Some(account) = values::optional_id(row, "account_id")? else {
        return Ok(None);
    };
    Ok(Some(RosterMember {
        account,
        from_seq: values::number(row, "from_seq")?,
        through_seq: values::optional_number(row, "through_seq")?,
    }))
}
