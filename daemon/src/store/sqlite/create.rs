//! `create`: a new conversation with its first `member` entry.

use super::{
    change,
    state::{self, Standing},
    values::{self, LogKind, bindable, kind_text},
};
use crate::store::{
    Denied, Result,
    logs::{Create, Created},
    rules::{self, State},
};
use fastchat_schema::Database;
use fastchat_wire::{AccountId, LogId, chat::create::ConversationKind};
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
    let empty = Standing {
        last_seq: 0,
        members_seq: 0,
        state: State {
            kind: create.kind,
            epoch: 0,
            members: Vec::new(),
        },
    };
    let written = change::write(
        &mut transaction,
        create.conversation,
        &empty,
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
    if let Some((low, high)) = pair(create) {
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
    let creator: AccountId = values::id(&taken, "account_id")?;
    let own = creator == create.actor.account
        && create.kind == ConversationKind::Group
        && values::log_kind(&taken, "kind")? == LogKind::Conversation(ConversationKind::Group);
    if own {
        Ok(Some(create.conversation))
    } else {
        Err(Denied::Conflict("that id stands for something else: choose another").into())
    }
}

async fn insert_log(connection: &mut SqliteConnection, create: &Create) -> Result<()> {
    sqlx::query("INSERT INTO logs (id, kind, account_id, created_at) VALUES (?, ?, ?, ?)")
        .bind(create.conversation.0.as_slice())
        .bind(kind_text(create.kind))
        .bind(create.actor.account.0.as_slice())
        .bind(bindable(create.at))
        .execute(&mut *connection)
        .await?;
    if let Some((low, high)) = pair(create) {
        sqlx::query("INSERT INTO direct_pairs (low, high, log_id) VALUES (?, ?, ?)")
            .bind(low.0.as_slice())
            .bind(high.0.as_slice())
            .bind(create.conversation.0.as_slice())
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// The two accounts of a direct conversation, the smaller id first.
fn pair(create: &Create) -> Option<(AccountId, AccountId)> {
    match (create.kind, create.members.as_slice()) {
        (ConversationKind::Direct, &[other]) => {
            let one = create.actor.account;
            Some((one.min(other), one.max(other)))
        }
        _ => None,
    }
}
