//! Who is in: who came and went, who they are, what newcomers are told.

use super::{note::add, out::close};
use crate::{
    clock::now_ms,
    ids::{Seal, new_entry},
    problem::Problem,
    profile::{archive, contacts, devices, history::Event, rooms, trust},
};
use fastchat_e2e::{
    AccountId, Content, ConversationId, DeviceId,
    content::Body,
    groups::{Groups, View},
    mls::{Applied, Kind, MemberDevice},
    store::Writer,
};
use fastchat_wire::chat::entry::{Change, MemberChanges};
use std::collections::{BTreeMap, BTreeSet};

/// Who came and went by a commit that was just applied; what this device has to tell the newcomers.
pub(super) fn committed(
    groups: &mut Groups,
    tx: &Writer<'_>,
    conversation: ConversationId,
    applied: &Applied,
    alarms: &mut Vec<String>,
) -> Result<Vec<Event>, Problem> {
    let view = groups.view(tx, conversation)?;
    // The others are as they were when they came.
    let mut whom: BTreeSet<AccountId> = applied.added.iter().map(|leaf| leaf.account).collect();
    whom.insert(applied.author.who.account);
    whom.extend(trust::stops(tx, conversation)?.iter().map(|stop| stop.account));
    let is_meant = |account: &AccountId| whom.contains(account);
    alarms.extend(meet(tx, conversation, &view, groups.me().account, is_meant)?);
    // An account is new where all of its leaves are, and gone where none is left.
    let old = |account: &AccountId| {
        view.members
            .iter()
            .map(fastchat_e2e::Credential::subject)
            .any(|member| member.account == *account && !applied.added.iter().any(|leaf| leaf.device == member.device))
    };
    let present = accounts(&view);
    let added: BTreeSet<_> = applied
        .added
        .iter()
        .map(|leaf| leaf.account)
        .filter(|account| !old(account))
        .collect();
    let removed: BTreeSet<_> = applied
        .removed
        .iter()
        .map(|leaf| leaf.account)
        .filter(|account| !present.contains(account))
        .collect();
    let admins: BTreeSet<_> = view.charter.admins.iter().copied().collect();
    let before = rooms::admins(tx, conversation)?;
    rooms::save_admins(tx, conversation, &view.charter.admins)?;
    if !(applied.added.is_empty() && applied.removed.is_empty()) {
        archive::room_is_due(tx, conversation)?;
    }

    let is_group = view.charter.kind == Kind::Group;
    if !applied.added.is_empty() && applied.author.who == groups.me() {
        tell_name(groups, tx, conversation)?;
    }
    let by_itself = applied.added.contains(&applied.author.who);
    if by_itself && rooms::settings(tx, conversation)?.is_some() {
        rooms::owe_name(tx, conversation, true)?;
    }
    devices::expel(groups, tx, conversation, &view)?;
    // The founder's other devices, and those of whoever is new, are no news of their own.
    let is_founding = view.mls_epoch == 1;
    let new_devices: Vec<MemberDevice> = applied
        .added
        .iter()
        .filter(|leaf| !is_founding && old(&leaf.account))
        .copied()
        .collect();
    for leaf in &new_devices {
        devices::came(tx, *leaf)?;
    }
    let gone_devices: Vec<MemberDevice> = applied
        .removed
        .iter()
        .filter(|leaf| view.charter.is_gone(**leaf))
        .copied()
        .collect();
    for leaf in &gone_devices {
        devices::gone(tx, *leaf)?;
    }
    let (mut events, mut devices_events) = (Vec::new(), Vec::new());
    let mut tell = |accounts: Vec<AccountId>, event: fn(Vec<AccountId>) -> Event| {
        if !accounts.is_empty() {
            events.push(event(accounts));
        }
    };
    tell(added.iter().copied().collect(), Event::Added);
    tell(removed.iter().copied().collect(), Event::Removed);
    let mut tell_devices = |leaves: Vec<MemberDevice>, event: fn(Vec<(AccountId, DeviceId)>) -> Event| {
        if !leaves.is_empty() {
            devices_events.push(event(leaves.iter().map(|leaf| (leaf.account, leaf.device)).collect()));
        }
    };
    tell_devices(new_devices, Event::DevicesAdded);
    tell_devices(gone_devices, Event::DevicesRemoved);
    if let (true, Some(before)) = (is_group, before) {
        tell(admins.difference(&before).copied().collect(), Event::Promoted);
        tell(
            before.difference(&admins).filter(|gone| present.contains(gone)).copied().collect(),
            Event::Demoted,
        );
    }
    events.append(&mut devices_events);
    Ok(events)
}

/// Says what the group is called, where nobody was faster, to a device that came in by itself.
pub(crate) fn tell_owed_name(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Problem> {
    if !rooms::owes_name(tx, conversation)? {
        return Ok(());
    }
    rooms::owe_name(tx, conversation, false)?;
    match groups.mls_epoch(tx, conversation) {
        Ok(1..) => tell_name(groups, tx, conversation),
        _ => Ok(()),
    }
}

/// Says what the group is called and how it is set, to those who have just come.
pub(super) fn tell_name(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Problem> {
    let Some(settings) = rooms::settings(tx, conversation)? else {
        return Ok(());
    };
    let content = Content {
        id: new_entry(),
        at_ms: now_ms(),
        body: Body::Group(settings),
    };
    groups.seal(tx, conversation, &content)?;
    Ok(())
}

/// The server's word on who is in: believed where it can do no harm.
pub(super) fn members_changed(
    groups: &mut Groups,
    tx: &Writer<'_>,
    conversation: ConversationId,
    changes: &[u8],
) -> Result<Option<Event>, Problem> {
    let Some(left) = left(changes) else {
        return Ok(Some(Event::Unreadable(
            "the server's note on who is in this conversation can't be read; ask its operator".to_owned(),
        )));
    };
    if left.contains(&groups.me().account) {
        close(groups, tx, conversation)?;
        return Ok(Some(Event::Out));
    }
    Ok((!left.is_empty()).then_some(Event::Left(left)))
}

/// The accounts that left, by a `member` entry's block.
pub(super) fn left(block: &[u8]) -> Option<Vec<AccountId>> {
    let MemberChanges { changes } = serde_json::from_slice(block).ok()?;
    let left = changes.iter().filter(|change| change.change == Change::Left);
    Some(left.map(|change| change.account.sealed()).collect())
}

/// The accounts of a group.
pub(crate) fn accounts(view: &View) -> BTreeSet<AccountId> {
    view.members.iter().map(|member| member.subject().account).collect()
}

/// Compares all members with their pins. What differs stops the conversation, and is told once.
pub(super) fn meet_all(tx: &Writer<'_>, conversation: ConversationId, view: &View, me: AccountId) -> Result<Vec<String>, Problem> {
    meet(tx, conversation, view, me, |_| true)
}

/// The same for those who are meant; whoever stops the conversation must be among them.
fn meet(
    tx: &Writer<'_>,
    conversation: ConversationId,
    view: &View,
    me: AccountId,
    is_meant: impl Fn(&AccountId) -> bool,
) -> Result<Vec<String>, Problem> {
    let mut seen = BTreeSet::new();
    let mut claims = BTreeMap::new();
    for subject in view.members.iter().map(fastchat_e2e::Credential::subject) {
        if !is_meant(&subject.account) || !seen.insert(subject.account) {
            continue;
        }
        let claim = match subject.account == me {
            // The group's rules hold all of an account's leaves to one identity, this device's own.
            true => contacts::meet(tx, me, &subject.username, &subject.identity_key)?,
            false => contacts::see(tx, conversation, subject.account, &subject.username, &subject.identity_key)?,
        };
        claims.extend(claim.map(|claim| (subject.account, claim)));
    }
    let new = trust::settle(tx, conversation, claims)?;
    Ok(new.iter().map(|distrust| format!("WARNING: {distrust}.")).collect())
}

/// Notes that somebody's name is not theirs, wherever they are met, and stops what would be said there.
pub(crate) fn doubt(groups: &mut Groups, tx: &Writer<'_>, account: AccountId, at_ms: u64) -> Result<(), Problem> {
    let Some(claim) = contacts::doubt(tx, account)? else {
        return Ok(());
    };
    for conversation in groups.conversations(tx)? {
        if !groups.view(tx, conversation).is_ok_and(|view| accounts(&view).contains(&account)) {
            continue;
        }
        if let Some(distrust) = trust::stop(tx, conversation, account, claim.clone())? {
            alarm(groups, tx, conversation, format!("WARNING: {distrust}."), at_ms)?;
        }
    }
    Ok(())
}

/// Notes what a person must see, beside what the log says.
pub(crate) fn alarm(groups: &Groups, tx: &Writer<'_>, conversation: ConversationId, alarm: String, at_ms: u64) -> Result<(), Problem> {
    let seq = groups.cursor(tx, conversation).unwrap_or(0);
    let me = groups.me().account;
    add(tx, conversation, seq, at_ms, None, None, me, Event::Alarm, vec![alarm])
}

/// For people: the server says that somebody has a device that they have not signed.
pub(crate) fn offered_device(username: &str) -> String {
    format!(
        "WARNING: the server named a device of @{username} here that another identity has signed than the one that you know. It was not \
         added and reads nothing; somebody tries to read along. Don't trust this server before its operator explains."
    )
}

/// For people: the server counts somebody among the members whom no member has added.
pub(crate) fn counted_stranger(username: &str) -> String {
    format!(
        "WARNING: the server counts @{username} among the members of this conversation, and no admin has added them. They have no keys \
         and read nothing; don't trust this server before its operator explains."
    )
}
