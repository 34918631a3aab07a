//! What was received, as it is noted in the history, and what follows from it.

use super::{
    out::out,
    roster::{committed, members_changed},
    seal_again,
};
use crate::{
    clock,
    ids::Seal,
    messenger::renew,
    problem::Problem,
    profile::{
        contacts,
        history::{self, Event, Note, Noted},
        rooms,
        tasks::{self, Outcome},
    },
    record,
};
use fastchat_e2e::{
    AccountId, Content, ConversationId, DeviceId, EntryId,
    content::{Body, Group},
    groups::{Groups, Received, Stranding, What},
    log::Alarm,
    mls::{GroupError, Kind, MemberDevice},
    store::{Reader, Writer},
};
use fastchat_wire::chat::entry::EntryEvent;
use std::collections::HashMap;

/// How an entry came.
pub(crate) enum Heard<'a> {
    /// From the log.
    Entry(&'a EntryEvent),
    /// As the acknowledgement of an own one.
    Acknowledged,
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

pub(super) fn acknowledged_at(tx: &Reader<'_>, entry: EntryId) -> Result<u64, Problem> {
    match tasks::outcome(tx, entry)? {
        Some(Outcome::Sent { at_ms, .. }) => Ok(at_ms),
        _ => Ok(0),
    }
}

pub(super) fn note(
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
    let mut alarms = sentences(tx, &alarms)?;
    let by_me = Some((me.account, me.device));
    let (from, what) = match what {
        What::Message { sender, content } => {
            let ignored = hear(groups, tx, conversation, sender.who.account, &content)?;
            let what = ignored.map_or_else(|| said(content), unreadable);
            (Some((sender.who.account, sender.who.device)), what)
        }
        What::Own { content } => {
            hear(groups, tx, conversation, me.account, &content)?;
            tasks::settle(tx, entry, &Outcome::Sent { conversation, seq, at_ms })?;
            (by_me, said(content))
        }
        What::Commit { applied, .. } => {
            let author = applied.author.who;
            rooms::owe_commit(tx, conversation, false)?;
            rooms::tell_stuck(tx, conversation, false)?;
            if author == me {
                tasks::settle(tx, entry, &Outcome::Sent { conversation, seq, at_ms })?;
                rooms::save_renew_at(tx, conversation, renew::next())?;
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
            rooms::owe_commit(tx, conversation, true)?;
            seal_again(groups, tx, conversation)?;
            (
                named,
                unreadable(format!(
                    "somebody's change of this conversation is not valid and was ignored, by everybody: {}",
                    bare(&cause)
                )),
            )
        }
        What::Stranded { cause, .. } => (named, unreadable(stranded(&cause))),
        What::Out { by, unsent } => {
            for message in unsent {
                tasks::settle(tx, message, &out())?;
            }
            rooms::leave(tx, conversation)?;
            (Some((by.account, by.device)), Some(Noted::Event(Event::Out)))
        }
        What::Unreadable { cause } => (named, unreadable(cause.to_string())),
        What::Member(changes) => (named, members_changed(groups, tx, conversation, &changes)?.map(Noted::Event)),
        What::Welcome | What::Unknown | What::Repeated | What::Watched => (named, None),
    };
    let what = match what {
        None if alarms.is_empty() => return Ok(()),
        what => what.unwrap_or(Noted::Event(Event::Alarm)),
    };
    let now_ms = clock::now_ms();
    let vanish_at = match &what {
        Noted::Message(content) => vanish_at(tx, conversation, content, at_ms, now_ms)?,
        Noted::Event(_) => None,
    };
    // It was on its way for longer than it may last.
    let what = match vanish_at.is_some_and(|at_ms| at_ms <= now_ms) {
        true if alarms.is_empty() => return Ok(()),
        true => Noted::Event(Event::Alarm),
        false => what,
    };
    let note = Note {
        conversation,
        seq,
        at_ms,
        entry: Some(entry),
        own: from.is_some_and(|(account, _)| account == me.account),
        from,
        archive: matches!(what, Noted::Message(_)) && rooms::is_archived(tx, conversation)?,
        what,
        alarms,
        vanish_at,
    };
    history::add(tx, &note)
}

/// What the user must see, with people's names as far as this device knows them.
fn sentences(tx: &Reader<'_>, alarms: &[Alarm]) -> Result<Vec<String>, Problem> {
    let mut names = HashMap::new();
    for who in alarms.iter().flat_map(Alarm::who) {
        let name = contacts::person(tx, who.account)?.username;
        names.insert(
            who.account,
            name.map(|name| format!("@{name} (device {})", record::short(&who.device.to_string()))),
        );
    }
    let name = |who: MemberDevice| {
        let known = names.get(&who.account).cloned().flatten();
        known.unwrap_or_else(|| format!("device {} of account {}", who.device, who.account))
    };
    Ok(alarms.iter().map(|alarm| alarm.sentence(name)).collect())
}

/// Notes an event.
#[expect(clippy::too_many_arguments, reason = "a record's fields, each once")]
pub(super) fn add(
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
        archive: false,
        vanish_at: None,
    };
    history::add(tx, &note)
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

/// For people: what is wrong with a change. There is nothing that its author could send again.
fn bare(cause: &GroupError) -> String {
    match cause {
        GroupError::Broken(cause) => cause.to_string(),
        cause => cause.to_string(),
    }
}

/// For people: why this device has to come in again.
fn stranded(cause: &Stranding) -> String {
    match cause {
        Stranding::Secrets(cause) => format!(
            "a change of this conversation does not open on this device, though it may for others ({}): whoever made it, or \
             the server, is broken or hostile. This device comes in again by itself; ask for what was said until then to be sent again",
            bare(cause)
        ),
        Stranding::Unnoticed => {
            "the others did not take this device in as it came by itself, and went on without it. It comes in again by \
             itself; what you said here since then was read by nobody: say it again"
                .to_owned()
        }
    }
}

pub(super) fn unreadable(cause: String) -> Option<Noted> {
    Some(Noted::Event(Event::Unreadable(cause)))
}

/// What people are to see of a message.
pub(super) fn said(content: Content) -> Option<Noted> {
    (!matches!(content.body, Body::Notice(_))).then_some(Noted::Message(content))
}

/// A conversation's settings, from those who may set them: a group's admins, either side of a direct chat. A joiner, who
/// knows no name of a group yet, takes its first settings from anybody who is in. Gives why it was ignored.
pub(super) fn hear(
    groups: &mut Groups,
    tx: &Writer<'_>,
    conversation: ConversationId,
    from: AccountId,
    content: &Content,
) -> Result<Option<String>, Problem> {
    let Body::Group(said) = &content.body else {
        return Ok(None);
    };
    let charter = groups.view(tx, conversation)?.charter;
    let known = rooms::settings(tx, conversation)?.unwrap_or_default();
    if said.name.is_some() || charter.kind == Kind::Direct {
        rooms::owe_name(tx, conversation, false)?;
    }
    let retention_s = said.retention_s.filter(|seconds| *seconds <= record::RETENTION_S_MAX);
    if charter.kind == Kind::Direct {
        let said = Group {
            retention_s,
            ..Group::default()
        };
        rooms::set(tx, conversation, &said)?;
        return Ok(None);
    }
    if !charter.is_admin(from) && known.name.is_some() {
        // Whoever is in repeats them for newcomers.
        let repeats = (said.name.is_none() || said.name == known.name)
            && (said.picture.is_none() || said.picture == known.picture)
            && (said.retention_s.is_none() || said.retention_s == known.retention_s)
            && (said.archive.is_none() || said.archive == known.archive);
        if repeats {
            return Ok(None);
        }
        tracing::warn!(%conversation, account = %from, "somebody who is no admin tried to change a group's settings: that is ignored");
        return Ok(Some(
            "it named settings of the group that only admins may change: that was ignored".to_owned(),
        ));
    }
    let said = Group {
        name: said.name.clone().filter(|name| record::is_group_name(name)),
        picture: said.picture.clone().filter(record::is_picture),
        retention_s,
        archive: said.archive,
    };
    rooms::set(tx, conversation, &said)?;
    Ok(None)
}

/// When a message is to disappear, by how the conversation stands now: ms since 1970. What is done about a message
/// goes with it.
fn vanish_at(tx: &Reader<'_>, conversation: ConversationId, content: &Content, at_ms: u64, now_ms: u64) -> Result<Option<u64>, Problem> {
    if let Some(target) = content.body.target()
        && let Some(with) = history::vanishes(tx, conversation, target)?
    {
        return Ok(with);
    }
    // What is taken back stays so, also where the message comes out of the archive.
    if matches!(content.body, Body::Group(_) | Body::Notice(_) | Body::Delete(_)) {
        return Ok(None);
    }
    let retention_s = rooms::retention_s(tx, conversation)?;
    let deadline = || history::deadline(content.at_ms, at_ms, now_ms, retention_s);
    Ok((retention_s > 0).then(deadline))
}
