//! A log's entry on its way into the profile: group, history, what is to be done about it.
//!
//! Everything in one transaction with the cursor: an entry is noted exactly once, whatever happens.

mod note;
mod out;
mod roster;

pub(crate) use note::{Heard, add_own, is_noted_lost, note_all};
pub(crate) use out::shut_out;
pub(crate) use roster::{accounts, alarm, counted_stranger, doubt, offered_device, tell_owed_name};

use super::{
    devices,
    history::Event,
    identity, rooms,
    tasks::{self, Outcome},
};
use crate::{entry::Entry, ids::Seal, messenger::renew, problem::Problem};
use fastchat_e2e::{
    ConversationId,
    groups::{Error, Groups, Outgoing, Payload, Received, What},
    log::{Block, KIND_COMMIT, KIND_MEMBER, LogEntry},
    mls::Kind,
    store::{Reader, Writer},
};
use fastchat_wire::{LogId, chat::commit::WelcomedNotice};
use note::add;
use roster::{left, meet_all};

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
    /// The epoch moved by a change that is no good for anybody: a good one is due, by whichever member is first.
    Mend(ConversationId),
    /// The epoch moved, and this device can't follow: it comes in again.
    ComeBack(ConversationId),
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
                KIND_COMMIT => after_commit(conversation, &received),
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

fn after_commit(conversation: ConversationId, received: &[Received]) -> Next {
    match received.first().map(|received| &received.what) {
        Some(What::BadCommit { .. }) => Next::Mend(conversation),
        Some(What::Stranded { .. } | What::Watched) => Next::ComeBack(conversation),
        _ => Next::Moved,
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
    let me = groups.me().account;
    let alarms = settle_in(groups, tx, conversation)?;
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

/// Comes into a conversation by an own commit that stands in its log.
pub(crate) fn entered(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId, seq: u64, at_ms: u64) -> Result<(), Problem> {
    let entering = groups.entering(tx, conversation)?;
    if !groups.entered(tx, conversation, seq)? {
        return Ok(());
    }
    let me = groups.me();
    let alarms = settle_in(groups, tx, conversation)?;
    add(
        tx,
        conversation,
        seq,
        at_ms,
        entering.map(|entering| entering.entry),
        Some((me.account, me.device)),
        me.account,
        Event::Joined,
        alarms,
    )?;
    seal_again(groups, tx, conversation)
}

/// What is kept of a conversation beside its group, now that this device is in; what is to be said about its members.
fn settle_in(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId) -> Result<Vec<String>, Problem> {
    let view = groups.view(tx, conversation)?;
    let me = groups.me().account;
    let others = accounts(&view).into_iter().find(|account| *account != me);
    rooms::enter(tx, conversation, others.filter(|_| view.charter.kind == Kind::Direct))?;
    rooms::save_admins(tx, conversation, &view.charter.admins)?;
    rooms::save_renew_at(tx, conversation, renew::first(view.members.len()))?;
    rooms::tell_stuck(tx, conversation, false)?;
    devices::expel(groups, tx, conversation, &view)?;
    meet_all(tx, conversation, &view, me)
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
