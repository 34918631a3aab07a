//! `create`: a new conversation with its first `member` entry.

use super::{change, state};
use crate::store::{
    Result,
    logs::{Create, Created},
    rules,
    standing::{self, Standing},
    values::{self, bindable, kind_text},
};
use fastchat_schema::Database;
use fastchat_wire::LogId;
use sqlx::SqliteConnection;

/// Creates.
pub(super) async fn create(database: &Database, create: Create) -> Result<Created> {
    let changes = rules::create(create.kind, create.actor.account, &create.members)?;
    let mut transaction = database.write().await?;
    if let Some(conversation) = existing(&mut transaction, &create).await? {
        return Ok(Created {
            conversation,
            created: false,
            written: Vec::new(),
        });
    }
    state::check_accounts(&mut transaction, &create.members).await?;
    insert_log(&mut transaction, &create).await?;
    let written = change::write(
        &mut transaction,
        create.conversation,
        &Standing::empty(create.kind),
        create.actor,
        create.member_entry,
        create.at,
        changes,
    )
    .await?;
    transaction.commit().await?;
    Ok(Created {
        conversation: create.conversation,
        created: true,
        written,
    })
}

/// The pair's conversation, or the creator's own one again.
async fn existing(connection: &mut SqliteConnection, create: &Create) -> Result<Option<LogId>> {
    if let Some((low, high)) = create.pair() {
        let found = sqlx::query("SELECT log_id FROM direct_pairs WHERE low = ? AND high = ?")
            .bind(low.0.as_slice())
            .bind(high.0.as_slice())
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(found) = found {
            return Ok(Some(values::id(&found, "log_id")?));
        }
    }
    let taken = sqlx::query("SELECT kind, account_id FROM logs WHERE id = ?")
        .bind(create.conversation.0.as_slice())
        .fetch_optional(connection)
        .await?;
    let Some(taken) = taken else { return Ok(None) };
    standing::taken(&taken, create).map(Some)
}

async fn insert_log(connection: &mut SqliteConnection, create: &Create) -> Result<()> {
    sqlx::query("INSERT INTO logs (id, kind, account_id, created_at) VALUES (?, ?, ?, ?)")
        .bind(create.conversation.0.as_slice())
        .bind(kind_text(create.kind))
        .bind(create.actor.account.0.as_slice())
        .bind(bindable(create.at))
        .execute(&mut *connection)
        .await?;
    if let Some((low, high)) = create.pair() {
        sqlx::query("INSERT INTO direct_pairs (low, high, log_id) VALUES (?, ?, ?)")
            .bind(low.0.as_slice())
            .bind(high.0.as_slice())
            .bind(create.conversation.0.as_slice())
            .execute(connection)
            .await?;
    }
    Ok(())
}
