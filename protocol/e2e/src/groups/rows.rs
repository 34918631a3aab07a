//! Where everything stands in the store. Keys start with the conversation.

use super::error::Error;
use crate::{
    id::{ConversationId, DeviceId, EntryId},
    log::Position,
    mls::state::{self, Parts},
    secret::SecretBytes,
    store::{Reader, Scan, Table, Writer},
};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// conversation → [`Position`] as JSON.
const POSITION: Table = Table::new("conversation");
/// conversation → mls-rs' state without the tree, and without what stands in [`NODES`].
const STATE: Table = Table::new("group-state");
/// conversation ‖ u32 node → its secret, or its ratchets.
const NODES: Table = Table::new("group-node");
/// conversation → the ratchet tree.
const TREE: Table = Table::new("group-tree");
/// conversation → [`PendingCommit`].
const PENDING: Table = Table::new("group-pending");
/// conversation → the group as it is seen without its secrets, or nothing where not even that can be followed: this
/// device can't go on in it, and comes in again.
const STRANDED: Table = Table::new("group-stranded");
/// conversation ‖ u64 number → the head there.
pub(super) const HEADS: Table = Table::new("log-head");
/// conversation ‖ u64 number → entry ‖ SHA-256 of its block ‖ kind: read by a joiner without a head.
pub(super) const UNCHAINED: Table = Table::new("log-unchained");

/// conversation ‖ device → u64 MLS epoch ‖ u64 counter: the last signal.
const SIGNALS: Table = Table::new("signal");

/// An own commit that does not stand in the log yet.
pub(super) struct PendingCommit {
    pub(super) entry: EntryId,
    /// The entry that will name the commit's head to those who join.
    pub(super) announcement: EntryId,
    pub(super) at_ms: u64,
    pub(super) secrets: SecretBytes,
}

/// conversation ‖ number, so that rows of one log come in its order.
pub(super) fn numbered(conversation: ConversationId, seq: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(conversation.as_bytes());
    key[16..].copy_from_slice(&seq.to_be_bytes());
    key
}

pub(super) fn find_position(tx: &Reader<'_>, conversation: ConversationId) -> Result<Option<Position>, Error> {
    let Some(row) = tx.get(POSITION, conversation.as_bytes())? else {
        return Ok(None);
    };
    let position = serde_json::from_slice(row.expose());
    position.map(Some).map_err(|_| Error::Damaged(conversation))
}

pub(super) fn position(tx: &Reader<'_>, conversation: ConversationId) -> Result<Position, Error> {
    find_position(tx, conversation)?.ok_or(Error::Unknown(conversation))
}

pub(super) fn put_position(tx: &Writer<'_>, conversation: ConversationId, position: &Position) -> Result<(), Error> {
    let row = serde_json::to_vec(position).map_err(|_| Error::Damaged(conversation))?;
    Ok(tx.put(POSITION, conversation.as_bytes(), &row)?)
}

pub(super) fn conversations(tx: &Reader<'_>) -> Result<Vec<ConversationId>, Error> {
    let rows = tx.list(POSITION, Scan::prefix(&[]))?;
    Ok(rows.iter().filter_map(|(key, _)| ConversationId::try_from(&key[..]).ok()).collect())
}

/// A group as it is stored.
pub(super) struct Stored {
    /// mls-rs' state.
    pub(super) state: Zeroizing<Vec<u8>>,
    /// Whether it is stored in parts; earlier versions stored it whole.
    pub(super) is_apart: bool,
    pub(super) tree: SecretBytes,
}

pub(super) fn group(tx: &Reader<'_>, conversation: ConversationId) -> Result<Stored, Error> {
    let damaged = || Error::Damaged(conversation);
    let rest = tx.get(STATE, conversation.as_bytes())?.ok_or_else(damaged)?;
    let tree = tx.get(TREE, conversation.as_bytes())?.ok_or_else(damaged)?;
    let mut nodes = BTreeMap::new();
    for (key, secrets) in tx.list(NODES, Scan::prefix(conversation.as_bytes()))? {
        let node = key.last_chunk().map(|node| u32::from_be_bytes(*node)).ok_or_else(damaged)?;
        nodes.insert(node, secrets);
    }
    let nodes = nodes.iter().map(|(node, secrets)| (*node, secrets.expose())).collect();
    Ok(Stored {
        state: state::together(rest.expose(), &nodes).ok_or_else(damaged)?,
        is_apart: state::is_apart(rest.expose()),
        tree,
    })
}

/// Writes what differs from the state that is stored; all of it where `stored` is empty.
pub(super) fn put_state(tx: &Writer<'_>, conversation: ConversationId, stored: &[u8], state: &[u8]) -> Result<(), Error> {
    let (old, new) = (Parts::of(stored), Parts::of(state));
    if old.rest != new.rest {
        tx.put(STATE, conversation.as_bytes(), &new.rest)?;
    }
    for node in old.nodes.keys().filter(|node| !new.nodes.contains_key(node)) {
        tx.delete(NODES, &node_key(conversation, *node))?;
    }
    for (node, secrets) in new.nodes {
        if old.nodes.get(&node) != Some(&secrets) {
            tx.put(NODES, &node_key(conversation, node), secrets)?;
        }
    }
    Ok(())
}

fn node_key(conversation: ConversationId, node: u32) -> [u8; 20] {
    let mut key = [0; 20];
    key[..16].copy_from_slice(conversation.as_bytes());
    key[16..].copy_from_slice(&node.to_be_bytes());
    key
}

pub(super) fn put_tree(tx: &Writer<'_>, conversation: ConversationId, tree: &[u8]) -> Result<(), Error> {
    Ok(tx.put(TREE, conversation.as_bytes(), tree)?)
}

pub(super) fn pending_commit(tx: &Reader<'_>, conversation: ConversationId) -> Result<Option<PendingCommit>, Error> {
    fn read(row: &[u8]) -> Option<PendingCommit> {
        let (entry, rest) = row.split_first_chunk()?;
        let (announcement, rest) = rest.split_first_chunk()?;
        let (at_ms, secrets) = rest.split_first_chunk()?;
        Some(PendingCommit {
            entry: EntryId(*entry),
            announcement: EntryId(*announcement),
            at_ms: u64::from_be_bytes(*at_ms),
            secrets: SecretBytes::new(secrets.to_vec()),
        })
    }
    match tx.get(PENDING, conversation.as_bytes())? {
        Some(row) => read(row.expose()).map(Some).ok_or(Error::Damaged(conversation)),
        None => Ok(None),
    }
}

pub(super) fn put_pending_commit(tx: &Writer<'_>, conversation: ConversationId, commit: &PendingCommit) -> Result<(), Error> {
    let at = commit.at_ms.to_be_bytes();
    let row = [&commit.entry.0[..], &commit.announcement.0, &at, commit.secrets.expose()].concat();
    Ok(tx.put(PENDING, conversation.as_bytes(), &Zeroizing::new(row))?)
}

pub(super) fn delete_pending_commit(tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Error> {
    tx.delete(PENDING, conversation.as_bytes())?;
    Ok(())
}

/// What is seen of a group in which this device can't go on.
pub(super) fn stranded(tx: &Reader<'_>, conversation: ConversationId) -> Result<Option<SecretBytes>, Error> {
    Ok(tx.get(STRANDED, conversation.as_bytes())?)
}

pub(super) fn put_stranded(tx: &Writer<'_>, conversation: ConversationId, seen: &[u8]) -> Result<(), Error> {
    Ok(tx.put(STRANDED, conversation.as_bytes(), seen)?)
}

pub(super) fn delete_stranded(tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Error> {
    tx.delete(STRANDED, conversation.as_bytes())?;
    Ok(())
}

/// Deletes a group's secrets: of one that this device is out of.
pub(super) fn delete_group(tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Error> {
    for table in [STATE, TREE, PENDING, STRANDED] {
        tx.delete(table, conversation.as_bytes())?;
    }
    delete_all(tx, NODES, conversation)
}

fn delete_all(tx: &Writer<'_>, table: Table, conversation: ConversationId) -> Result<(), Error> {
    for (key, _) in tx.list(table, Scan::prefix(conversation.as_bytes()))? {
        tx.delete(table, &key)?;
    }
    Ok(())
}

pub(super) fn forget(tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Error> {
    delete_group(tx, conversation)?;
    for table in [HEADS, UNCHAINED, SIGNALS] {
        delete_all(tx, table, conversation)?;
    }
    tx.delete(POSITION, conversation.as_bytes())?;
    Ok(())
}

/// The last signal of a device: its MLS epoch, and its counter.
pub(super) fn signal(tx: &Reader<'_>, conversation: ConversationId, device: DeviceId) -> Result<Option<(u64, u64)>, Error> {
    let Some(row) = tx.get(SIGNALS, &[&conversation.as_bytes()[..], device.as_bytes()].concat())? else {
        return Ok(None);
    };
    let halves = row
        .expose()
        .split_first_chunk()
        .and_then(|(epoch, rest)| Some((*epoch, <[u8; 8]>::try_from(rest).ok()?)));
    let (epoch, counter) = halves.ok_or(Error::Damaged(conversation))?;
    Ok(Some((u64::from_be_bytes(epoch), u64::from_be_bytes(counter))))
}

/// Keeps it.
pub(super) fn put_signal(tx: &Writer<'_>, conversation: ConversationId, device: DeviceId, epoch: u64, counter: u64) -> Result<(), Error> {
    let key = [&conversation.as_bytes()[..], device.as_bytes()].concat();
    Ok(tx.put(SIGNALS, &key, &[epoch.to_be_bytes(), counter.to_be_bytes()].concat())?)
}
