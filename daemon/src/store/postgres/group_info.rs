//! `group-info`: what came with the last commit.

use crate::store::{Denied, Result, values};
use bytes::Bytes;
use fastchat_schema::PostgresDatabase;
use fastchat_wire::{AccountId, LogId};
use sqlx::Row;

/// Epoch and GroupInfo, for a present member.
pub(super) async fn group_info(database: &PostgresDatabase, conversation: LogId, account: AccountId) -> Result<(u64, Bytes)> {
    let row = sqlx::query(
        "SELECT log.epoch, info.group_info
         FROM members AS member JOIN logs AS log ON log.id = member.log_id LEFT JOIN group_infos AS info ON info.log_id = log.id
         WHERE member.log_id = $1 AND member.account_id = $2 AND member.through_seq IS NULL",
    )
    .bind(conversation.0.as_slice())
    .bind(account.0.as_slice())
    .fetch_optional(database.pool())
    .await?
    .ok_or(Denied::NotMember)?;
    let info: Option<Vec<u8>> = row.try_get("group_info")?;
    let info = info.ok_or(Denied::NotFound("there is no group info before the first commit"))?;
    Ok((values::number(&row, "epoch")?, info.into()))
}
