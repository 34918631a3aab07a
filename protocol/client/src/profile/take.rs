//! A log's entry on its way into the profile: group, history, what is to be done about it.
//!
//! Everything in one transaction with the cursor: an entry is noted exactly once, whatever happens.

use super::{
    contacts::{self, Met},
    history::{self, Event, Note, Noted},
    identity, rooms,
    tasks::{self, Outcome},
};
use crate::{
    entry::Entry,
    ids::{Seal, new_entry},
    problem::Problem,
    record,
};
use fastchat_e2e::{
    AccountId, Content, ConversationId, DeviceId, EntryId,
    content::{Body, Group},
    groups::{Error, Groups, Outgoing, Payload, Received, View, What},
    log::{Block, KIND_COMMIT, KIND_MEMBER, LogEntry},
    mls::{Applied, Kind},
    store::{Reader, Writer},
};
use fastchat_wire::{
    LogId,
    chat::{
        commit::WelcomedNotice,
        entry::{Change, EntryEvent, MemberChanges},
    },
};
use std::collections::BTreeSet;

/// Kind of an inbox's notice that a Welcome waits.
const KIND_WELCOMED: &str = "welcomed";

/// What is to be done after an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Nothing,
    /// Read the invitation.
    Join,
    /// Entries are missing before it: fetch them.
    CatchUp(ConversationId),
    /// The epoch moved: what was sealed again can be sent, and what was wanted may be due.
    Moved,
    /// Somebody left: their devices are still in the group.
    Tidy(ConversationId),
}

/// How an entry came.
pub(crate) enum Heard<'a> {
    /// From the log.
    Entry(&'a EntryEvent),
    /// As the acknowledgement of an own one.
    Acknowledged,
}

/// Takes an entry of any of the account's logs.
pub(crate) fn take(groups: &mut Groups, tx: &Writer<'_>, entry: &Entry) -> Result<Next, Problem> {
    let head = &entry.head;
    if head.log == LogId::inbox_of(fastchat_wire::DeviceId(groups.me().device.0)) {
        return take_notice(tx, entry);
    }
    let conversation = head.log.sealed();
    if is_others_founding(groups, tx, conversation, entry)? {
        abandon_founding(groups, tx, conversation)?;
        tasks::save_cursor(tx, conversation, head.seq)?;
        return Ok(Next::Moved);
    }
    match groups.receive(tx, conversation, &log_entry(entry)) {
        Ok(received) => {
            let next = match head.kind.as_str() {
                KIND_COMMIT => Next::Moved,
                KIND_MEMBER if left(&entry.block).is_some_and(|left| !left.is_empty()) => Next::Tidy(conversation),
                _ => Next::Nothing,
            };
            note_all(groups, tx, conversation, received, &Heard::Entry(head))?;
            Ok(next)
        }
        Err(Error::Gap { .. }) => Ok(Next::CatchUp(conversation)),
        // Not joined: what comes before the invitation can't be read, what comes after it is fetched with it.
        Err(Error::Unknown(_)) => {
            tasks::save_cursor(tx, conversation, head.seq)?;
            Ok(Next::Nothing)
        }
        Err(error) => Err(error.into()),
    }
}

/// A commit of somebody else, where this device's own founding does not stand yet: they were faster.
fn is_others_founding(groups: &Groups, tx: &Reader<'_>, conversation: ConversationId, entry: &Entry) -> Result<bool, Problem> {
    if entry.head.kind != KIND_COMMIT || !matches!(groups.mls_epoch(tx, conversation), Ok(0)) {
        return Ok(false);
    }
    let is_next = entry.seq() == groups.cursor(tx, conversation)? + 1;
    Ok(is_next && groups.commit_under_way(tx, conversation)? != Some(entry.head.entry.sealed()))
}

/// Somebody else founded this conversation: this device drops its own group, and joins theirs.
pub(crate) fn abandon_founding(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Problem> {
    for message in groups.forget(tx, conversation)? {
        let refused = Outcome::Refused {
            code: "not-now".to_owned(),
            message: "the other side began this conversation at the same moment: send it again".to_owned(),
        };
        tasks::settle(tx, message, &refused)?;
    }
    Ok(())
}

/// As the sealed side wants it.
pub(crate) fn log_entry(entry: &Entry) -> LogEntry<'_> {
    let head = &entry.head;
    let hash = head.block_sha256.as_ref().and_then(|hash| hash.0.as_slice().try_into().ok());
    LogEntry {
        seq: head.seq,
        entry: head.entry.sealed(),
        kind: &head.kind,
        from: head.from.zip(head.device).map(|(from, device)| (from.sealed(), device.sealed())),
        epoch: head.epoch,
        block: hash.map_or(Block::Bytes(&entry.block), Block::Sha256),
    }
}

fn take_notice(tx: &Writer<'_>, entry: &Entry) -> Result<Next, Problem> {
    let inbox = entry.log().sealed();
    // Another process of this profile may have taken it, and answered it since.
    if tasks::cursor(tx, inbox)?.is_some_and(|cursor| entry.seq() <= cursor) {
        return Ok(Next::Nothing);
    }
    tasks::save_cursor(tx, inbox, entry.seq())?;
    if entry.head.kind != KIND_WELCOMED {
        return Ok(Next::Nothing);
    }
    let Ok(notice) = serde_json::from_slice::<WelcomedNotice>(&entry.block) else {
        tracing::warn!(seq = entry.seq(), "a notice in the inbox that can't be read is skipped");
        return Ok(Next::Nothing);
    };
    tasks::invited(tx, notice.conversation.sealed(), notice.seq)?;
    Ok(Next::Join)
}

/// Joins a conversation by a Welcome that stands in its log.
pub(crate) fn join(groups: &mut Groups, tx: &Writer<'_>, entry: &Entry, epoch: u64) -> Result<(), Problem> {
    let conversation = entry.log().sealed();
    let welcomed = groups.join(tx, conversation, &log_entry(entry), epoch)?;
    if welcomed.last_resort_used {
        identity::save_last_resort(tx, None)?;
    }
    let view = groups.view(tx, conversation)?;
    let me = groups.me().account;
    let others = accounts(&view).into_iter().find(|account| *account != me);
    rooms::enter(tx, conversation, others.filter(|_| view.charter.kind == Kind::Direct))?;
    rooms::save_admins(tx, conversation, &view.charter.admins)?;
    let alarms = meet_all(tx, conversation, &view, me)?;
    let by = welcomed.adder.who;
    add(
        tx,
        conversation,
        entry.seq(),
        entry.head.at,
        Some(entry.head.entry.sealed()),
        Some((by.account, by.device)),
        me,
        Event::Joined,
        alarms,
    )?;
    seal_again(groups, tx, conversation)
}

/// Notes what was received, and does what follows from it.
pub(crate) fn note_all(
    groups: &mut Groups,
    tx: &Writer<'_>,
    conversation: ConversationId,
    received: Vec<Received>,
    heard: &Heard<'_>,
) -> Result<(), Problem> {
    for one in received {
        let (at_ms, named) = match heard {
            Heard::Entry(head) if head.seq == one.seq => (head.at, head.from.zip(head.device)),
            _ => (acknowledged_at(tx, one.entry)?, None),
        };
        let named = named.map(|(account, device)| (account.sealed(), device.sealed()));
        note(groups, tx, conversation, one, at_ms, named)?;
    }
    Ok(())
}

fn acknowledged_at(tx: &Reader<'_>, entry: EntryId) -> Result<u64, Problem> {
    match tasks::outcome(tx, entry)? {
        Some(Outcome::Sent { at_ms, .. }) => Ok(at_ms),
        _ => Ok(0),
    }
}

fn note(
    groups: &mut Groups,
    tx: &Writer<'_>,
    conversation: ConversationId,
    received: Received,
    at_ms: u64,
    named: Option<(AccountId, DeviceId)>,
) -> Result<(), Problem> {
    let me = groups.me();
    let Received {
        seq, entry, what, alarms, ..
    } = received;
    let mut alarms: Vec<String> = alarms.iter().map(ToString::to_string).collect();
    let by_me = Some((me.account, me.device));
    let (from, what) = match what {
        What::Message { sender, content } => {
            hear(groups, tx, conversation, sender.who.account, &content)?;
            (Some((sender.who.account, sender.who.device)), said(content))
        }
        What::Own { content } => {
            tasks::settle(tx, entry, &Outcome::Sent { conversation, seq, at_ms })?;
            (by_me, said(content))
        }
        What::Commit { applied, .. } => {
            let author = applied.author.who;
            if author == me {
                tasks::settle(tx, entry, &Outcome::Sent { conversation, seq, at_ms })?;
            }
            let events = committed(groups, tx, conversation, &applied, &mut alarms)?;
            seal_again(groups, tx, conversation)?;
            for event in events {
                add(
                    tx,
                    conversation,
                    seq,
                    at_ms,
                    Some(entry),
                    Some((author.account, author.device)),
                    me.account,
                    event,
                    Vec::new(),
                )?;
            }
            (Some((author.account, author.device)), None)
        }
        What::BadCommit { cause, .. } => {
            seal_again(groups, tx, conversation)?;
            (
                named,
                unreadable(format!(
                    "somebody's change of this conversation is not valid and was ignored: {cause}"
                )),
            )
        }
        What::Out { by, unsent } => {
            for message in unsent {
                tasks::settle(tx, message, &out())?;
            }
            rooms::leave(tx, conversation)?;
            (Some((by.account, by.device)), Some(Noted::Event(Event::Out)))
        }
        What::Unreadable { cause } => (named, unreadable(cause.to_string())),
        What::Member(changes) => (named, members_changed(groups, tx, conversation, &changes)?.map(Noted::Event)),
        What::Welcome | What::Unknown | What::Repeated => (named, None),
    };
    let what = match what {
        None if alarms.is_empty() => return Ok(()),
        what => what.unwrap_or(Noted::Event(Event::Alarm)),
    };
    let note = Note {
        conversation,
        seq,
        at_ms,
        entry: Some(entry),
        own: from.is_some_and(|(account, _)| account == me.account),
        from,
        what,
        alarms,
    };
    history::add(tx, &note).map(drop)
}

/// Notes an event.
#[expect(clippy::too_many_arguments, reason = "a record's fields, each once")]
fn add(
    tx: &Writer<'_>,
    conversation: ConversationId,
    seq: u64,
    at_ms: u64,
    entry: Option<EntryId>,
    from: Option<(AccountId, DeviceId)>,
    me: AccountId,
    event: Event,
    alarms: Vec<String>,
) -> Result<(), Problem> {
    let note = Note {
        conversation,
        seq,
        at_ms,
        entry,
        own: from.is_some_and(|(account, _)| account == me),
        from,
        what: Noted::Event(event),
        alarms,
    };
    history::add(tx, &note).map(drop)
}

/// Notes of this device's own: no entry says it.
pub(crate) fn add_own(groups: &Groups, tx: &Writer<'_>, conversation: ConversationId, at_ms: u64, event: Event) -> Result<(), Problem> {
    let seq = groups.cursor(tx, conversation).unwrap_or(0);
    add(tx, conversation, seq, at_ms, None, None, groups.me().account, event, Vec::new())
}

/// Whether it was noted already that what follows this number is lost: each start meets the same hole.
pub(crate) fn is_noted_lost(tx: &Reader<'_>, conversation: ConversationId, seq: u64) -> Result<bool, Problem> {
    let noted = history::at(tx, None, conversation, seq)?;
    Ok(noted.iter().any(|record| matches!(record.what, record::What::Lost { .. })))
}

/// This account is out, as the server says: nothing can be read or sent any more.
pub(crate) fn shut_out(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId, at_ms: u64) -> Result<(), Problem> {
    if rooms::is_out(tx, conversation)? {
        return Ok(());
    }
    add_own(groups, tx, conversation, at_ms, Event::Out)?;
    close(groups, tx, conversation)
}

/// Deletes the group's secrets, and what waits to be said in it.
fn close(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Problem> {
    for message in groups.forget(tx, conversation)? {
        tasks::settle(tx, message, &out())?;
    }
    rooms::leave(tx, conversation)
}

fn out() -> Outcome {
    Outcome::Refused {
        code: "not-member".to_owned(),
        message: "you are in this conversation no longer: ask a member to be added again".to_owned(),
    }
}

fn unreadable(cause: String) -> Option<Noted> {
    Some(Noted::Event(Event::Unreadable(cause)))
}

/// What people are to see of a message.
fn said(content: Content) -> Option<Noted> {
    (!matches!(content.body, Body::Notice(_))).then_some(Noted::Message(content))
}

/// A group's settings, from those who may set them. A joiner takes the first name from anybody who is in.
fn hear(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId, from: AccountId, content: &Content) -> Result<(), Problem> {
    let Body::Group(Group { name: Some(name), .. }) = &content.body else {
        return Ok(());
    };
    let is_admin = groups.view(tx, conversation)?.charter.is_admin(from);
    if record::is_group_name(name) && (is_admin || rooms::name(tx, conversation)?.is_none()) {
        rooms::rename(tx, conversation, name)?;
    }
    Ok(())
}

/// Who came and went by a commit that was just applied; what this device has to tell the newcomers.
fn committed(
    groups: &mut Groups,
    tx: &Writer<'_>,
    conversation: ConversationId,
    applied: &Applied,
    alarms: &mut Vec<String>,
) -> Result<Vec<Event>, Problem> {
    let view = groups.view(tx, conversation)?;
    alarms.extend(meet_all(tx, conversation, &view, groups.me().account)?);
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

    let is_group = view.charter.kind == Kind::Group;
    if is_group && !applied.added.is_empty() && applied.author.who == groups.me() {
        tell_name(groups, tx, conversation)?;
    }
    let mut events = Vec::new();
    let mut tell = |accounts: Vec<AccountId>, event: fn(Vec<AccountId>) -> Event| {
        if !accounts.is_empty() {
            events.push(event(accounts));
        }
    };
    tell(added.iter().copied().collect(), Event::Added);
    tell(removed.iter().copied().collect(), Event::Removed);
    if let (true, Some(before)) = (is_group, before) {
        tell(admins.difference(&before).copied().collect(), Event::Promoted);
        tell(
            before.difference(&admins).filter(|gone| present.contains(gone)).copied().collect(),
            Event::Demoted,
        );
    }
    Ok(events)
}

/// Says what the group is called, to those who have just come.
fn tell_name(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Problem> {
    let Some(name) = rooms::name(tx, conversation)? else {
        return Ok(());
    };
    let content = Content {
        id: new_entry(),
        at_ms: crate::clock::now_ms(),
        body: Body::Group(Group {
            name: Some(name),
            ..Group::default()
        }),
    };
    groups.seal(tx, conversation, &content)?;
    Ok(())
}

/// The server's word on who is in: believed where it can do no harm.
fn members_changed(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId, changes: &[u8]) -> Result<Option<Event>, Problem> {
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
fn left(block: &[u8]) -> Option<Vec<AccountId>> {
    let MemberChanges { changes } = serde_json::from_slice(block).ok()?;
    let left = changes.iter().filter(|change| change.change == Change::Left);
    Some(left.map(|change| change.account.sealed()).collect())
}

/// Seals again, in the epoch that the log has reached, what was sealed before and does not stand in it.
pub(super) fn seal_again(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Problem> {
    let is_message = |row: &Outgoing| row.conversation == conversation && matches!(row.payload, Payload::Message { .. });
    for row in groups.pending(tx)?.into_iter().filter(is_message) {
        match groups.reseal(tx, conversation, row.entry) {
            Ok(_) | Err(Error::Behind) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The accounts of a group.
pub(crate) fn accounts(view: &View) -> BTreeSet<AccountId> {
    view.members.iter().map(|member| member.subject().account).collect()
}

/// Compares all members with their pins; what is to be said about it.
fn meet_all(tx: &Writer<'_>, conversation: ConversationId, view: &View, me: AccountId) -> Result<Vec<String>, Problem> {
    let mut alarms = Vec::new();
    let mut seen = BTreeSet::new();
    for subject in view.members.iter().map(fastchat_e2e::Credential::subject) {
        if !seen.insert(subject.account) {
            continue;
        }
        let met = match subject.account == me {
            // The group's rules hold all of an account's leaves to one identity, this device's own.
            true => contacts::meet(tx, me, &subject.username, &subject.identity_key)?,
            false => contacts::see(tx, conversation, subject.account, &subject.username, &subject.identity_key)?,
        };
        if met == Met::Changed {
            alarms.push(changed_identity(subject.username.as_str()));
        }
    }
    Ok(alarms)
}

/// Notes that somebody's name is not theirs.
pub(crate) fn doubt(groups: &Groups, tx: &Writer<'_>, conversation: ConversationId, account: AccountId, at_ms: u64) -> Result<(), Problem> {
    let Some(claimed) = contacts::doubt(tx, account)? else {
        return Ok(());
    };
    let alarm = format!(
        "WARNING: somebody here calls themselves @{claimed}, and the fleet knows no such person with that identity. \
         Somebody may pretend to be @{claimed}: ask over another channel before you believe anything that they say."
    );
    let seq = groups.cursor(tx, conversation).unwrap_or(0);
    let me = groups.me().account;
    add(tx, conversation, seq, at_ms, None, None, me, Event::Alarm, vec![alarm])
}

/// For people: an identity is not what it was.
pub(crate) fn changed_identity(username: &str) -> String {
    format!(
        "WARNING: @{username} has another identity than when you first met. Somebody may stand between you: \
         ask that person over another channel, and don't write anything that is for them alone until you have."
    )
}
