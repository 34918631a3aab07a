//! The conversations that this device knows, beside their groups: what people call them.

use super::{archive, contacts, rows, trust};
use crate::{
    problem::Problem,
    record::{RETENTION_S_MAX, Room},
};
use fastchat_e2e::{
    AccountId, ConversationId, archive as sealed,
    content::{File, Group},
    groups::Groups,
    store::{Reader, Scan, Table, Writer},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// conversation → [`Row`].
const ROOMS: Table = Table::new("room");
/// account → its direct chat.
const DIRECT: Table = Table::new("room-direct");
/// conversation → nothing: a device came in by itself, and nobody has told it since what the group is called.
const NAME_OWED: Table = Table::new("room-name-owed");

/// conversation → nothing: the last commit was no good for anybody, and a good one is due.
const COMMIT_OWED: Table = Table::new("room-commit-owed");
/// conversation → nothing: it was told that this device can't come in by itself.
const STUCK_TOLD: Table = Table::new("room-stuck-told");

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    /// The other account of a direct chat.
    peer: Option<AccountId>,
    name: Option<String>,
    out: bool,
    /// A group's admins when it was last looked at.
    #[serde(default)]
    admins: Option<BTreeSet<AccountId>>,
    /// When this device is to renew its keys here: ms since 1970.
    #[serde(default)]
    renew_at: u64,
    /// A group's setting: whether it is archived.
    #[serde(default)]
    archive: Option<bool>,
    /// A group's setting: seconds after which messages disappear; 0 for never.
    #[serde(default)]
    retention_s: Option<u64>,
    /// A group's setting: its picture.
    #[serde(default)]
    picture: Option<File>,
}

fn find(tx: &Reader<'_>, conversation: ConversationId) -> Result<Option<Row>, Problem> {
    rows::get(tx, ROOMS, conversation.as_bytes())
}

fn update(tx: &Writer<'_>, conversation: ConversationId, change: impl FnOnce(&mut Row)) -> Result<(), Problem> {
    let before = find(tx, conversation)?.unwrap_or_default();
    let mut row = before.clone();
    change(&mut row);
    if before.renew_at == row.renew_at && before != row {
        archive::room_is_due(tx, conversation)?;
    }
    rows::put(tx, ROOMS, conversation.as_bytes(), &row)
}

/// Makes it known, or in again; `peer` is the other account of a direct chat, by the group's own word.
pub(crate) fn enter(tx: &Writer<'_>, conversation: ConversationId, peer: Option<AccountId>) -> Result<(), Problem> {
    if let Some(other) = self::peer(tx, conversation)?.filter(|other| Some(*other) != peer) {
        // What is said to that account must not end up here.
        if direct(tx, other)? == Some(conversation) {
            tx.delete(DIRECT, other.as_bytes())?;
        }
    }
    if let Some(peer) = peer {
        tx.put(DIRECT, peer.as_bytes(), conversation.as_bytes())?;
    }
    update(tx, conversation, |row| (row.out, row.peer) = (false, peer))
}

/// It never came to be.
pub(crate) fn forget(tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Problem> {
    if let Some(peer) = peer(tx, conversation)?
        && direct(tx, peer)? == Some(conversation)
    {
        tx.delete(DIRECT, peer.as_bytes())?;
    }
    trust::clear(tx, conversation)?;
    tx.delete(ROOMS, conversation.as_bytes())?;
    Ok(())
}

/// This account is out.
pub(crate) fn leave(tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Problem> {
    trust::clear(tx, conversation)?;
    update(tx, conversation, |row| row.out = true)
}

/// A group's name.
pub(crate) fn rename(tx: &Writer<'_>, conversation: ConversationId, name: &str) -> Result<(), Problem> {
    update(tx, conversation, |row| row.name = Some(name.to_owned()))
}

/// What was said of a conversation's settings; what was not said stays.
pub(crate) fn set(tx: &Writer<'_>, conversation: ConversationId, said: &Group) -> Result<(), Problem> {
    update(tx, conversation, |row| {
        row.name = said.name.clone().or(row.name.take());
        row.picture = said.picture.clone().or(row.picture.take());
        row.archive = said.archive.or(row.archive);
        row.retention_s = said.retention_s.or(row.retention_s);
    })
}

/// A conversation's settings, where it has any.
pub(crate) fn settings(tx: &Reader<'_>, conversation: ConversationId) -> Result<Option<Group>, Problem> {
    let row = find(tx, conversation)?.unwrap_or_default();
    let settings = Group {
        name: row.name,
        picture: row.picture,
        retention_s: row.retention_s,
        archive: row.archive,
    };
    Ok((settings != Group::default()).then_some(settings))
}

/// Seconds after which what is said there disappears; 0 where it stays.
pub(crate) fn retention_s(tx: &Reader<'_>, conversation: ConversationId) -> Result<u64, Problem> {
    Ok(find(tx, conversation)?.and_then(|row| row.retention_s).unwrap_or(0))
}

/// Whether what is said there belongs into the account's archive: not where a group has switched that off, and nothing
/// that is to disappear.
pub(crate) fn is_archived(tx: &Reader<'_>, conversation: ConversationId) -> Result<bool, Problem> {
    let row = find(tx, conversation)?.unwrap_or_default();
    Ok(row.archive != Some(false) && row.retention_s.unwrap_or(0) == 0)
}

/// All that are known.
pub(crate) fn all(tx: &Reader<'_>) -> Result<Vec<ConversationId>, Problem> {
    let found = tx.list(ROOMS, Scan::prefix(&[]))?;
    found
        .iter()
        .map(|(key, _)| ConversationId::try_from(&key[..]).map_err(|_| rows::damaged(ROOMS)))
        .collect()
}

/// How a conversation stands, as the account's archive has it. Of a group that is not archived its name is left out.
pub(crate) fn archived(tx: &Reader<'_>, groups: &Groups, conversation: ConversationId) -> Result<Option<sealed::Room>, Problem> {
    let Some(row) = find(tx, conversation)? else {
        return Ok(None);
    };
    let standing = groups.standing(tx, conversation).ok();
    Ok(Some(sealed::Room {
        conversation,
        peer: row.peer,
        name: row.name.filter(|_| row.archive != Some(false)),
        archive: row.archive,
        retention_s: row.retention_s,
        out: row.out,
        admins: row.admins.unwrap_or_default().into_iter().collect(),
        seq: standing.map_or(0, |standing| standing.seq),
        head: standing.and_then(|standing| standing.head),
        epoch: standing.map_or(0, |standing| standing.server_epoch),
        mls_epoch: standing.map_or(0, |standing| standing.mls_epoch),
    }))
}

/// Takes over what the account's archive says of a conversation, where this device knows nothing of its own.
pub(crate) fn restore(tx: &Writer<'_>, room: &sealed::Room, joined: bool) -> Result<(), Problem> {
    let name = room.name.as_deref().filter(|name| crate::record::is_group_name(name));
    let known = find(tx, room.conversation)?;
    let is_new = known.is_none();
    let mut row = known.unwrap_or_default();
    row.peer = row.peer.or(room.peer);
    row.name = row.name.or(name.map(str::to_owned));
    row.archive = row.archive.or(room.archive);
    row.retention_s = row.retention_s.or(room.retention_s.filter(|seconds| *seconds <= RETENTION_S_MAX));
    if is_new {
        row.out = room.out;
    }
    if row.renew_at == 0 && !joined {
        // Whoever joins says when.
        row.renew_at = u64::MAX;
    }
    if let (Some(peer), true) = (room.peer, is_new) {
        tx.put(DIRECT, peer.as_bytes(), room.conversation.as_bytes())?;
    }
    rows::put(tx, ROOMS, room.conversation.as_bytes(), &row)
}

fn mark(tx: &Writer<'_>, table: Table, conversation: ConversationId, set: bool) -> Result<(), Problem> {
    match set {
        true => tx.put(table, conversation.as_bytes(), &[])?,
        false => _ = tx.delete(table, conversation.as_bytes())?,
    }
    Ok(())
}

fn marked(tx: &Reader<'_>, table: Table) -> Result<Vec<ConversationId>, Problem> {
    let found = tx.list(table, Scan::prefix(&[]))?;
    Ok(found
        .iter()
        .filter_map(|(key, _)| ConversationId::try_from(&key[..]).ok())
        .collect())
}

/// The last commit was no good for anybody, or a good one came since.
pub(crate) fn owe_commit(tx: &Writer<'_>, conversation: ConversationId, owed: bool) -> Result<(), Problem> {
    mark(tx, COMMIT_OWED, conversation, owed)
}

/// Whether a good commit is still due.
pub(crate) fn owes_commit(tx: &Reader<'_>, conversation: ConversationId) -> Result<bool, Problem> {
    Ok(tx.has(COMMIT_OWED, conversation.as_bytes())?)
}

/// Where good commits are due.
pub(crate) fn commits_owed(tx: &Reader<'_>) -> Result<Vec<ConversationId>, Problem> {
    marked(tx, COMMIT_OWED)
}

/// That this device can't come in by itself was told; or it is in.
pub(crate) fn tell_stuck(tx: &Writer<'_>, conversation: ConversationId, told: bool) -> Result<(), Problem> {
    mark(tx, STUCK_TOLD, conversation, told)
}

/// Whether that was told already: each start meets the same.
pub(crate) fn is_told_stuck(tx: &Reader<'_>, conversation: ConversationId) -> Result<bool, Problem> {
    Ok(tx.has(STUCK_TOLD, conversation.as_bytes())?)
}

/// A device came in by itself, and is to be told what the group is called; or it was told.
pub(crate) fn owe_name(tx: &Writer<'_>, conversation: ConversationId, owed: bool) -> Result<(), Problem> {
    mark(tx, NAME_OWED, conversation, owed)
}

/// Whether it is still to be told.
pub(crate) fn owes_name(tx: &Reader<'_>, conversation: ConversationId) -> Result<bool, Problem> {
    Ok(tx.has(NAME_OWED, conversation.as_bytes())?)
}

/// Where somebody is to be told.
pub(crate) fn names_owed(tx: &Reader<'_>) -> Result<Vec<ConversationId>, Problem> {
    marked(tx, NAME_OWED)
}

/// A group's admins when it was last looked at.
pub(crate) fn admins(tx: &Reader<'_>, conversation: ConversationId) -> Result<Option<BTreeSet<AccountId>>, Problem> {
    Ok(find(tx, conversation)?.and_then(|row| row.admins))
}

/// A group's admins now.
pub(crate) fn save_admins(tx: &Writer<'_>, conversation: ConversationId, admins: &[AccountId]) -> Result<(), Problem> {
    update(tx, conversation, |row| row.admins = Some(admins.iter().copied().collect()))
}

/// When this device is to renew its keys in a conversation: ms since 1970.
pub(crate) fn save_renew_at(tx: &Writer<'_>, conversation: ConversationId, at_ms: u64) -> Result<(), Problem> {
    update(tx, conversation, |row| row.renew_at = at_ms)
}

/// Where it is to renew its keys now.
pub(crate) fn to_renew(tx: &Reader<'_>, now_ms: u64) -> Result<Vec<ConversationId>, Problem> {
    let mut due = Vec::new();
    for (key, row) in tx.list(ROOMS, Scan::prefix(&[]))? {
        let row: Row = rows::parse(ROOMS, row.expose())?;
        if !row.out && row.renew_at <= now_ms {
            due.push(ConversationId::try_from(&key[..]).map_err(|_| rows::damaged(ROOMS))?);
        }
    }
    Ok(due)
}

/// The direct chat with an account.
pub(crate) fn direct(tx: &Reader<'_>, peer: AccountId) -> Result<Option<ConversationId>, Problem> {
    let row = tx.get(DIRECT, peer.as_bytes())?;
    Ok(row.and_then(|row| ConversationId::try_from(row.expose()).ok()))
}

/// The other account of a direct chat.
pub(crate) fn peer(tx: &Reader<'_>, conversation: ConversationId) -> Result<Option<AccountId>, Problem> {
    Ok(find(tx, conversation)?.and_then(|row| row.peer))
}

/// Whether this account is out of a conversation that it was in.
pub(crate) fn is_out(tx: &Reader<'_>, conversation: ConversationId) -> Result<bool, Problem> {
    Ok(find(tx, conversation)?.is_some_and(|row| row.out))
}

/// One of them.
pub(crate) fn room(tx: &Reader<'_>, groups: &Groups, conversation: ConversationId) -> Result<Option<Room>, Problem> {
    let row = find(tx, conversation)?;
    row.map(|row| read(tx, groups, conversation, row)).transpose()
}

/// All of them, in the order of their ids: the oldest first.
pub(crate) fn rooms(tx: &Reader<'_>, groups: &Groups) -> Result<Vec<Room>, Problem> {
    let mut rooms = Vec::new();
    for (key, row) in tx.list(ROOMS, Scan::prefix(&[]))? {
        let conversation = ConversationId::try_from(&key[..]).map_err(|_| rows::damaged(ROOMS))?;
        rooms.push(read(tx, groups, conversation, rows::parse(ROOMS, row.expose())?)?);
    }
    Ok(rooms)
}

fn read(tx: &Reader<'_>, groups: &Groups, conversation: ConversationId, row: Row) -> Result<Room, Problem> {
    Ok(Room {
        conversation,
        peer: row.peer.map(|peer| contacts::person(tx, peer)).transpose()?,
        verified: row.peer.map_or(Ok(false), |peer| trust::is_verified(tx, peer))?,
        stops: trust::stops(tx, conversation)?,
        name: row.name,
        picture: row.picture,
        retention_s: row.retention_s.unwrap_or(0),
        out: row.out,
        seq: groups.cursor(tx, conversation).unwrap_or(0),
    })
}
