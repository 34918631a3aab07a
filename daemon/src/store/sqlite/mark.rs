//! `mark`: watermarks, which never move back.

use super::values::{self, bindable};
use crate::store::{Denied, Result, logs::Moved};
use fastchat_schema::Database;
use fastchat_wire::{AccountId, LogId};
use sqlx::{Executor, Sqlite};

/// A member's watermarks, and the log's last number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Marks {
    delivered: u64,
    read: u64,
    last_seq: u64,
}

impl Marks {
    /// What moves: forward only, and not beyond the last entry.
    fn moved(self, delivered: Option<u64>, read: Option<u64>) -> Moved {
        let forward = |wanted: Option<u64>, stands: u64| wanted.map(|wanted| wanted.min(self.last_seq)).filter(|wanted| *wanted > stands);
        Moved {
            delivered: forward(delivered, self.delivered),
            read: forward(read, self.read),
        }
    }
}

/// Moves the marks of a present member.
pub(super) async fn mark(
    database: &Database,
    conversation: LogId,
    account: AccountId,
    delivered: Option<u64>,
    read: Option<u64>,
) -> Result<Moved> {
    let nothing = Moved {
        delivered: None,
        read: None,
    };
    // Most repetitions end here, without a turn at writing.
    if marks(database.readers(), conversation, account).await?.moved(delivered, read) == nothing {
        return Ok(nothing);
    }
    let mut transaction = database.write().await?;
    let moved = marks(&mut *transaction, conversation, account).await?.moved(delivered, read);
    if moved == nothing {
        return Ok(nothing);
    }
    sqlx::query("UPDATE members SET delivered = coalesce(?3, delivered), read = coalesce(?4, read) WHERE log_id = ?1 AND account_id = ?2")
        .bind(conversation.0.as_slice())
        .bind(account.0.as_slice())
        .bind(moved.delivered.map(bindable))
        .bind(moved.read.map(bindable))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(moved)
}

async fn marks<'e>(executor: impl Executor<'e, Database = Sqlite>, conversation: LogId, account: AccountId) -> Result<Marks> {
    let row = sqlx::query(
        "SELECT member.delivered, member.read, log.last_seq
         FROM members AS member JOIN logs AS log ON log.id = member.log_id
         WHERE member.log_id = ? AND member.account_id = ? AND member.through_seq IS NULL",
    )
    .bind(conversation.0.as_slice())
    .bind(account.0.as_slice())
    .fetch_optional(executor)
    .await?
    .ok_or(Denied::NotMember)?;
    Ok(Marks {
        delivered: values::number(&row, "delivered")?,
        read: values::number(&row, "read")?,
        last_seq: values::number(&row, "last_seq")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_move_forward_only_and_not_beyond_the_last_entry() {
        let marks = Marks {
            delivered: 5,
            read: 3,
            last_seq: 9,
        };
        for (delivered, read, expected) in [
            (None, None, (None, None)),
            (Some(5), Some(3), (None, None)),
            (Some(4), Some(2), (None, None)),
            (Some(6), Some(4), (Some(6), Some(4))),
            (Some(100), None, (Some(9), None)),
        ] {
            let moved = marks.moved(delivered, read);
            assert_eq!((moved.delivered, moved.read), expected, "{delivered:?} {read:?}");
        }
    }
}
