//! The entries that the server makes of a commit or a change of members: pure.

use super::{
    Denied, Result, StoreError,
    logs::{Actor, Appended, Commit, Committed, Entry, Written},
    standing::Standing,
    values,
};
use fastchat_wire::{
    AccountId, DeviceId, EntryId, LogId,
    chat::{
        commit::WelcomedNotice,
        entry::{MemberChange, MemberChanges},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The `member` entry of some changes.
pub(in crate::store) fn member_entry(
    log: LogId,
    seq: u64,
    actor: Actor,
    entry: EntryId,
    at: u64,
    changes: Vec<MemberChange>,
) -> Result<Entry> {
    let block = serde_json::to_vec(&MemberChanges { changes }).map_err(|error| StoreError::Internal(error.into()))?;
    Ok(Entry {
        log,
        seq,
        at,
        kind: Arc::from("member"),
        entry,
        from: Some(actor.account),
        device: Some(actor.device),
        epoch: None,
        block: block.into(),
        welcome_to: Arc::from([]),
    })
}

/// The Welcome's entry id, where there is a Welcome.
pub(in crate::store) fn welcome_entry(commit: &Commit) -> std::result::Result<Option<EntryId>, Denied> {
    match (commit.welcome.is_empty(), commit.welcome_entry) {
        (true, _) if !commit.welcome_to.is_empty() => Err(Denied::BadRequest("welcome-to needs a Welcome")),
        (true, _) => Ok(None),
        (false, None) => Err(Denied::BadRequest("a Welcome needs a welcome-entry")),
        (false, Some(entry)) if entry == commit.entry => Err(Denied::BadRequest("welcome-entry must be another id than entry")),
        (false, entry) => Ok(entry),
    }
}

/// The devices to welcome, each once, in order; `owners` are those of them that exist. Denied: `not-found`
/// for an unknown one, `forbidden` for one that is not a member's.
pub(in crate::store) fn welcomed(
    devices: BTreeSet<DeviceId>,
    owners: &[AccountId],
    members: &BTreeSet<AccountId>,
) -> std::result::Result<Vec<DeviceId>, Denied> {
    if owners.len() != devices.len() {
        return Err(Denied::NotFound("there is no such device"));
    }
    if !owners.iter().all(|owner| members.contains(owner)) {
        return Err(Denied::Forbidden("only members' devices are welcomed"));
    }
    Ok(devices.into_iter().collect())
}

/// Everything that a commit writes, in order: commit, welcome, notices, member.
pub(in crate::store) fn of_commit(
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
        member = Some(member_entry(
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

/// The answer to a commit that wrote entries.
pub(in crate::store) fn committed(written: Vec<Written>) -> Result<Committed> {
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

/// A conversation's numbers after a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct After {
    /// The commit's own; who comes reads from it.
    pub(in crate::store) first_seq: u64,
    /// The last one; who goes may read through it.
    pub(in crate::store) last_seq: u64,
    pub(in crate::store) members_seq: u64,
}

impl After {
    /// From what the commit wrote.
    pub(in crate::store) fn of(conversation: LogId, written: &[Written]) -> Self {
        let own = || written.iter().filter(|written| written.entry.log == conversation);
        Self {
            first_seq: own().map(|written| written.entry.seq).min().unwrap_or_default(),
            last_seq: own().map(|written| written.entry.seq).max().unwrap_or_default(),
            members_seq: own().map(|written| written.members_seq).max().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_are_welcomed_who_exist_and_are_members_each_once_and_in_order() {
        let devices = |ids: &[u8]| ids.iter().map(|id| DeviceId([*id; 16])).collect::<BTreeSet<_>>();
        let accounts = |ids: &[u8]| ids.iter().map(|id| AccountId([*id; 16])).collect::<Vec<_>>();
        let members: BTreeSet<AccountId> = accounts(&[1, 2]).into_iter().collect();
        let welcomed = |ids: &[u8], owners: &[u8]| welcomed(devices(ids), &accounts(owners), &members);
        assert_eq!(welcomed(&[9, 7, 9], &[1, 2]).unwrap(), [DeviceId([7; 16]), DeviceId([9; 16])]);
        assert_eq!(welcomed(&[], &[]).unwrap(), []);
        assert!(matches!(welcomed(&[7, 9], &[1]), Err(Denied::NotFound(_))));
        assert!(matches!(welcomed(&[7, 9], &[1, 3]), Err(Denied::Forbidden(_))));
    }
}
