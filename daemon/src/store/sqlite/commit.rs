//! `commit`: an MLS commit with all that follows from it, in one transaction.

use super::{
    change,
    insert::{self, NewEntry},
    state::{self, Standing},
    values::{self, bindable, id_list},
};
use crate::store::{
    Denied, Result, StoreError,
    logs::{Appended, Commit, Committed, Entry, Written},
    rules,
};
use fastchat_schema::Database;
use fastchat_wire::{
    AccountId, DeviceId, EntryId, LogId,
    chat::{
        commit::WelcomedNotice,
        entry::{Change, MemberChange},
    },
};
use sqlx::SqliteConnection;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Commits.
pub(super) async fn commit(database: &Database, commit: Commit) -> Result<Committed> {
    let mut transaction = database.write().await?;
    if let Some(duplicate) = find_duplicate(&mut transaction, &commit).await? {
        return Ok(duplicate);
    }
    let standing = state::read(&mut transaction, commit.conversation).await?;
    let changes = rules::commit(&standing.state, commit.actor.account, commit.epoch, &commit.add, &commit.remove)?;
    check_welcome_entry(&mut transaction, &commit).await?;
    let joining: Vec<AccountId> = changes.iter().filter(|c| c.change == Change::Added).map(|c| c.account).collect();
    state::check_accounts(&mut transaction, &joining).await?;
    let devices = welcomed_devices(&mut transaction, &commit, &standing.state.after(&changes)).await?;
    let inboxes = read_inboxes(&mut transaction, &devices).await?;

    let written = entries(&commit, &standing, &changes, &devices, &inboxes)?;
    let new: Vec<NewEntry<'_>> = written.iter().map(|written| NewEntry::from(&written.entry)).collect();
    insert::insert(&mut transaction, &new).await?;
    write_rows(&mut transaction, &commit, &changes, &written).await?;
    transaction.commit().await?;
    let first = written
        .first()
        .ok_or_else(|| values::inconsistent("a commit wrote nothing".to_owned()))?;
    let appended = Appended {
        seq: first.entry.seq,
        at: first.entry.at,
        duplicate: false,
        members_seq: first.members_seq,
    };
    Ok(Committed { appended, written })
}

async fn find_duplicate(connection: &mut SqliteConnection, commit: &Commit) -> Result<Option<Committed>> {
    let found = state::find_entry(connection, commit.conversation, commit.entry, commit.actor.device).await?;
    let Some((seq, at)) = found else { return Ok(None) };
    let members_seq = state::read(connection, commit.conversation).await?.members_seq;
    Ok(Some(Committed {
        appended: Appended {
            seq,
            at,
            duplicate: true,
            members_seq,
        },
        written: Vec::new(),
    }))
}

/// A Welcome has an entry id of its own, and nobody is welcomed without one.
async fn check_welcome_entry(connection: &mut SqliteConnection, commit: &Commit) -> Result<()> {
    let Some(welcome) = welcome_entry(commit)? else {
        return Ok(());
    };
    if welcome == commit.entry {
        return Err(Denied::BadRequest("welcome-entry must be another id than entry").into());
    }
    match state::find_entry(connection, commit.conversation, welcome, commit.actor.device).await? {
        Some(_) => Err(Denied::Conflict("welcome-entry is the id of an entry that stands there already").into()),
        None => Ok(()),
    }
}

fn welcome_entry(commit: &Commit) -> std::result::Result<Option<EntryId>, Denied> {
    match (commit.welcome.is_empty(), commit.welcome_entry) {
        (true, _) if !commit.welcome_to.is_empty() => Err(Denied::BadRequest("welcome-to needs a Welcome")),
        (true, _) => Ok(None),
        (false, None) => Err(Denied::BadRequest("a Welcome needs a welcome-entry")),
        (false, entry) => Ok(entry),
    }
}

/// The devices to welcome, each once, in order. Denied: `not-found` for an
/// unknown one, `forbidden` for one that is not a member's.
async fn welcomed_devices(connection: &mut SqliteConnection, commit: &Commit, members: &BTreeSet<AccountId>) -> Result<Vec<DeviceId>> {
    let devices: BTreeSet<DeviceId> = commit.welcome_to.iter().copied().collect();
    let owners = sqlx::query("SELECT account_id FROM devices WHERE id IN (SELECT unhex(value) FROM json_each(?))")
        .bind(id_list(devices.iter().map(DeviceId::as_bytes)))
        .fetch_all(connection)
        .await?;
    if owners.len() != devices.len() {
        return Err(Denied::NotFound("there is no such device").into());
    }
    for owner in &owners {
        if !members.contains(&values::id(owner, "account_id")?) {
            return Err(Denied::Forbidden("only members' devices are welcomed").into());
        }
    }
    Ok(devices.into_iter().collect())
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

/// Everything to write, in order: commit, welcome, notices, member.
fn entries(
    commit: &Commit,
    standing: &Standing,
    changes: &[MemberChange],
    devices: &[DeviceId],
    inboxes: &BTreeMap<DeviceId, u64>,
) -> Result<Vec<Written>> {
    let mut ids = commit.server_entries.iter().copied();
    let mut server_entry = || {
        ids.next()
            .ok_or_else(|| values::inconsistent("too few ids for a commit's entries".to_owned()))
    };
    let member_id = server_entry()?;
    let mut seq = standing.last_seq;
    let mut entry = |kind: &str, id, epoch, block: &bytes::Bytes, welcome_to: &[DeviceId]| {
        seq += 1;
        Entry {
            log: commit.conversation,
            seq,
            at: commit.at,
            kind: Arc::from(kind),
            entry: id,
            from: Some(commit.actor.account),
            device: Some(commit.actor.device),
            epoch,
            block: block.clone(),
            welcome_to: Arc::from(welcome_to),
        }
    };
    let mut entries = vec![entry("commit", commit.entry, Some(commit.epoch), &commit.commit, &[])];
    let welcome = welcome_entry(commit)?.map(|id| entry("welcome", id, None, &commit.welcome, devices));
    let mut notices = Vec::with_capacity(devices.len());
    if let Some(welcome) = welcome {
        for device in devices {
            let last_seq = inboxes
                .get(device)
                .ok_or_else(|| values::inconsistent(format!("device {device} has no inbox")))?;
            notices.push(notice(commit, *device, last_seq + 1, server_entry()?, welcome.seq)?);
        }
        entries.push(welcome);
    }
    let mut members_seq = standing.members_seq;
    let mut member = None;
    if !changes.is_empty() {
        members_seq = seq + 1;
        member = Some(change::member_entry(
            commit.conversation,
            members_seq,
            commit.actor,
            member_id,
            commit.at,
            changes.to_vec(),
        )?);
    }
    // One transaction, one roster: it says of each entry who reads it.
    let written = entries.into_iter().chain(notices).chain(member).map(|entry| Written {
        members_seq: if entry.log == commit.conversation { members_seq } else { 0 },
        entry,
    });
    Ok(written.collect())
}

fn notice(commit: &Commit, device: DeviceId, seq: u64, id: EntryId, welcome_seq: u64) -> Result<Entry> {
    let notice = WelcomedNotice {
        conversation: commit.conversation,
        seq: welcome_seq,
    };
    let block = serde_json::to_vec(&notice).map_err(|error| StoreError::Internal(error.into()))?;
    Ok(Entry {
        log: LogId::inbox_of(device),
        seq,
        at: commit.at,
        kind: Arc::from("welcomed"),
        entry: id,
        from: None,
        device: None,
        epoch: None,
        block: block.into(),
        welcome_to: Arc::from([]),
    })
}

/// Members, counters, the welcome's devices, group info.
async fn write_rows(connection: &mut SqliteConnection, commit: &Commit, changes: &[MemberChange], written: &[Written]) -> Result<()> {
    let own = || written.iter().filter(|written| written.entry.log == commit.conversation);
    let first_seq = own().map(|written| written.entry.seq).min().unwrap_or_default();
    let last_seq = own().map(|written| written.entry.seq).max().unwrap_or_default();
    let members_seq = own().map(|written| written.members_seq).max().unwrap_or_default();
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
