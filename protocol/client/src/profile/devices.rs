//! Devices, own ones and others': what they are called, which were sent away.
//!
//! A device that its account has sent away is remembered for good, whoever's it was: where a server names it again, it
//! is not added to a conversation, and an own one that stands in one is sent away from there, too.

use super::{
    archive,
    rows::{self, damaged},
    tasks::{self, Wanted, Wish},
};
use crate::problem::Problem;
use fastchat_e2e::{
    AccountId, ConversationId, DeviceId,
    groups::{Groups, View},
    mls::MemberDevice,
    store::{Reader, Scan, Table, Writer},
};
use fastchat_wire::limits::LABEL_BYTES_MAX;

/// device → what it is called, by the fleet's word.
const NAMES: Table = Table::new("device-name");
/// device → its account: the fleet is to be asked what it is called.
const UNNAMED: Table = Table::new("device-unnamed");
/// account ‖ device → nothing: sent away by its account.
const GONE: Table = Table::new("device-gone");
/// device → nothing: an own one that was sent away; the fleet has not been told yet.
const TO_REMOVE: Table = Table::new("device-to-remove");

/// Asked for at once.
const UNNAMED_MAX: u32 = 64;

/// A device has come that has no name here.
pub(crate) fn came(tx: &Writer<'_>, leaf: MemberDevice) -> Result<(), Problem> {
    if !tx.has(NAMES, leaf.device.as_bytes())? {
        tx.put(UNNAMED, leaf.device.as_bytes(), leaf.account.as_bytes())?;
    }
    Ok(())
}

/// Devices without a name, and whose they are: some of them.
pub(crate) fn unnamed(tx: &Reader<'_>) -> Result<Vec<MemberDevice>, Problem> {
    let some = Scan {
        limit: UNNAMED_MAX,
        ..Scan::prefix(&[])
    };
    let found = tx.list(UNNAMED, some)?;
    found
        .iter()
        .map(|(key, row)| {
            let damaged = |_| damaged(UNNAMED);
            Ok(MemberDevice {
                account: AccountId::try_from(row.expose()).map_err(damaged)?,
                device: DeviceId::try_from(&key[..]).map_err(damaged)?,
            })
        })
        .collect()
}

/// What the fleet calls a device; none where it knows none of this id. It is asked no more.
pub(crate) fn named(tx: &Writer<'_>, device: DeviceId, name: Option<&str>) -> Result<(), Problem> {
    tx.delete(UNNAMED, device.as_bytes())?;
    match name.filter(|name| name.len() <= LABEL_BYTES_MAX) {
        Some(name) => rows::put(tx, NAMES, device.as_bytes(), &name),
        None => Ok(()),
    }
}

/// What a device is called, once the fleet has said so.
pub(crate) fn name(tx: &Reader<'_>, device: DeviceId) -> Result<Option<String>, Problem> {
    rows::get(tx, NAMES, device.as_bytes())
}

/// Its account has sent this device away.
pub(crate) fn gone(tx: &Writer<'_>, leaf: MemberDevice) -> Result<(), Problem> {
    tx.delete(UNNAMED, leaf.device.as_bytes())?;
    Ok(tx.put(GONE, &key(leaf), &[])?)
}

/// Whether its account has sent this device away, as far as this one knows.
pub(crate) fn is_gone(tx: &Reader<'_>, leaf: MemberDevice) -> Result<bool, Problem> {
    Ok(tx.has(GONE, &key(leaf))?)
}

/// Sends an own device away: from each conversation that this device is in, and the fleet is to be told.
pub(crate) fn send_away(groups: &mut Groups, tx: &Writer<'_>, device: DeviceId) -> Result<(), Problem> {
    let account = groups.me().account;
    gone(tx, MemberDevice { account, device })?;
    tx.put(TO_REMOVE, device.as_bytes(), &[])?;
    sweep(groups, tx)
}

/// Own devices that were sent away and that the fleet has not been told of.
pub(crate) fn to_remove(tx: &Reader<'_>) -> Result<Vec<DeviceId>, Problem> {
    let found = tx.list(TO_REMOVE, Scan::prefix(&[]))?;
    found
        .iter()
        .map(|(key, _)| DeviceId::try_from(&key[..]).map_err(|_| damaged(TO_REMOVE)))
        .collect()
}

/// The fleet was told.
pub(crate) fn removed(tx: &Writer<'_>, device: DeviceId) -> Result<(), Problem> {
    tx.delete(TO_REMOVE, device.as_bytes())?;
    Ok(())
}

/// Own devices that were sent away, of which this one has not noted what they had archived last.
pub(crate) fn without_last(tx: &Reader<'_>, account: AccountId) -> Result<Vec<DeviceId>, Problem> {
    let mut found = Vec::new();
    for (key, _) in tx.list(GONE, Scan::prefix(account.as_bytes()))? {
        let device = key.last_chunk().map(|device| DeviceId(*device)).ok_or_else(|| damaged(GONE))?;
        if archive::last_of(tx, device)?.is_none() {
            found.push(device);
        }
    }
    Ok(found)
}

/// Looks through all conversations for own devices that were sent away.
pub(crate) fn sweep(groups: &mut Groups, tx: &Writer<'_>) -> Result<(), Problem> {
    let account = groups.me().account;
    if tx
        .list(
            GONE,
            Scan {
                limit: 1,
                ..Scan::prefix(account.as_bytes())
            },
        )?
        .is_empty()
    {
        return Ok(());
    }
    for conversation in groups.conversations(tx)? {
        // One that this device is out of, or that is damaged, keeps it from no other.
        if let Ok(view) = groups.view(tx, conversation) {
            expel(groups, tx, conversation, &view)?;
        }
    }
    Ok(())
}

/// Wants own devices that were sent away out of a conversation.
pub(crate) fn expel(groups: &Groups, tx: &Writer<'_>, conversation: ConversationId, view: &View) -> Result<(), Problem> {
    let me = groups.me();
    let mut expelled = Vec::new();
    for subject in view.members.iter().map(fastchat_e2e::Credential::subject) {
        let leaf = MemberDevice {
            account: subject.account,
            device: subject.device,
        };
        if leaf.account == me.account && leaf != me && is_gone(tx, leaf)? {
            expelled.push(leaf.device);
        }
    }
    if expelled.is_empty() {
        return Ok(());
    }
    let wish = Wish {
        conversation,
        what: Wanted::SendAway(expelled),
    };
    if !tasks::wishes(tx)?.iter().any(|(_, known)| *known == wish) {
        tasks::wish(tx, &wish)?;
    }
    Ok(())
}

fn key(leaf: MemberDevice) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(leaf.account.as_bytes());
    key[16..].copy_from_slice(leaf.device.as_bytes());
    key
}
