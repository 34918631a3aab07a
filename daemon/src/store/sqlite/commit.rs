//! `commit`: an MLS commit with all that follows from it, in one transaction.

use super::{
    change,
    insert::{self, NewEntry},
    state,
    values::id_list,
};
use crate::store::{
    Denied, Result,
    entries::{self, After},
    logs::{Commit, Committed, Written},
    rules,
    values::{self, bindable},
};
use fastchat_schema::Database;
use fastchat_wire::{
    AccountId, DeviceId,
    chat::entry::{Change, MemberChange},
};
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};

/// Commits.
pub(super) async fn commit(database: &Database, commit: Commit) -> Result<Committed> {
    let mut transaction = database.write().await?;
    if let Some(duplicate) = find_duplicate(&mut transaction, &commit).await? {
        return Ok(duplicate);
    }
    let devices: BTreeSet<DeviceId> = commit.welcome_to.iter().copied().collect();
    let owners = owners(&mut transaction, &devices).await?;
    let concerned = rules::concerned(commit.actor.account, &commit.add, &commit.remove, &owners);
    let standing = state::read_concerned(&mut transaction, commit.conversation, concerned.as_ref()).await?;
    let changes = rules::commit(&standing.state, commit.actor.account, commit.epoch, &commit.add, &commit.remove)?;
    check_welcome_entry(&mut transaction, &commit).await?;
    let joining: Vec<AccountId> = changes.iter().filter(|c| c.change == Change::Added).map(|c| c.account).collect();
    state::check_accounts(&mut transaction, &joining).await?;
    let devices = entries::welcomed(devices, &owners, &standing.state.after(&changes))?;
    let inboxes = read_inboxes(&mut transaction, &devices).await?;

    let written = entries::of_commit(&commit, &standing, &changes, &devices, &inboxes)?;
    let new: Vec<NewEntry<'_>> = written.iter().map(|written| NewEntry::from(&written.entry)).collect();
    insert::insert(&mut transaction, &new).await?;
    write_rows(&mut transaction, &commit, &changes, &written).await?;
    transaction.commit().await?;
    entries::committed(written)
}

async fn find_duplicate(connection: &mut SqliteConnection, commit: &Commit) -> Result<Option<Committed>> {
    let found = state::find_entry(connection, commit.conversation, commit.entry, commit.actor.device).await?;
    let Some((seq, at)) = found else { return Ok(None) };
    let standing = state::read_concerned(connection, commit.conversation, Some(&BTreeSet::new())).await?;
    let members_seq = standing.members_seq;
    Ok(Some(Committed::again(seq, at, members_seq)))
}

/// A Welcome has an entry id of its own, and nobody is welcomed without one.
async fn check_welcome_entry(connection: &mut SqliteConnection, commit: &Commit) -> Result<()> {
    let Some(welcome) = entries::welcome_entry(commit)? else {
        return Ok(());
    };
    match state::find_entry(connection, commit.conversation, welcome, commit.actor.device).await? {
        Some(_) => Err(Denied::Conflict("welcome-entry is the id of an entry that stands there already").into()),
        None => Ok(()),
    }
}

/// Whose devices these are.
async fn owners(connection: &mut SqliteConnection, devices: &BTreeSet<DeviceId>) -> Result<Vec<AccountId>> {
    let owners = sqlx::query("SELECT account_id FROM devices WHERE id IN (SELECT unhex(value) FROM json_each(?))")
        .bind(id_list(devices.iter().map(DeviceId::as_bytes)))
        .fetch_all(connection)
        .await?;
    owners.iter().map(|owner| values::id(owner, "account_id")).collect()
}

/// The last numbers of devices' inboxes.
async fn read_inboxes(connection: &mut SqliteConnection, devices: &[DeviceId]) -> Result<BTreeMap<DeviceId, u64>> {
    let rows = sqlx::query("SELECT id, last_seq FROM logs WHERE kind = 'inbox' AND id IN (SELECT unhex(value) FROM json_each(?))")
        .bind(id_list(devices.iter().map(DeviceId::as_bytes)))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| Ok((values::id(row, "id")?, values::number(row, "last_seq")?)))
        .collect()
}

/// Members, counters, the welcome's devices, group info.
async fn write_rows(connection: &mut SqliteConnection, commit: &Commit, changes: &[MemberChange], written: &[Written]) -> Result<()> {
    let After {
        first_seq,
        last_seq,
        members_seq,
    } = After::of(commit.conversation, written);
    // The `member` entry is the last one: through it who goes may read.
    change::apply(connection, commit.conversation, changes, first_seq, last_seq).await?;
    sqlx::query("UPDATE logs SET last_seq = ?2, members_seq = ?3, epoch = epoch + 1 WHERE id = ?1")
        .bind(commit.conversation.0.as_slice())
        .bind(bindable(last_seq))
        .bind(bindable(members_seq))
        .execute(&mut *connection)
        .await?;
    for written in written {
        let entry = &written.entry;
        if entry.log != commit.conversation {
            sqlx::query("UPDATE logs SET last_seq = ?2 WHERE id = ?1")
                .bind(entry.log.0.as_slice())
                .bind(bindable(entry.seq))
                .execute(&mut *connection)
                .await?;
        }
        if !entry.welcome_to.is_empty() {
            sqlx::query("INSERT INTO welcomes (log_id, seq, device_id) SELECT ?1, ?2, unhex(value) FROM json_each(?3)")
                .bind(entry.log.0.as_slice())
                .bind(bindable(entry.seq))
                .bind(id_list(entry.welcome_to.iter().map(DeviceId::as_bytes)))
                .execute(&mut *connection)
                .await?;
        }
    }
    sqlx::query(
        "INSERT INTO group_infos (log_id, group_info) VALUES (?1, ?2)
         ON CONFLICT (log_id) DO UPDATE SET group_info = excluded.group_info",
    )
    .bind(commit.conversation.0.as_slice())
    .bind(&commit.group_info[..])
    .execute(connection)
    .await?;
    Ok(())
}
