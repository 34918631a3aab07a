//! What was done about messages after they were said: corrected, taken back, reacted to.
//!
//! ```text
//!  the message           what an account did about it: one row, in whichever order things came
//!  entry, by ACCOUNT ··· entry ‖ ACCOUNT  taken back? newest correction, newest reaction
//!  (text blanked)        entry ‖ other    its newest reaction; all else of theirs counts for nothing
//! ```
//!
//! An entry's id names the message, also one that this device does not have yet: the archive gives the newest first. So
//! what was done is kept by that id and by who did it, and the number in the log decides which of two is newer. Only
//! what the message's own account did corrects it or takes it back. What nobody is to read any more is blanked as soon
//! as both are here: text and file of what was taken back, every text that a newer one has replaced.

use super::{Header, RECORDS, SAVED, split, write};
use crate::{
    problem::Problem,
    profile::rows,
    record::{EXCERPT_CHARS_MAX, REACTIONS_MAX},
};
use fastchat_e2e::{
    AccountId, Content, ConversationId, EntryId,
    content::Body,
    store::{Reader, Scan, Table, Writer},
};
use serde::{Deserialize, Serialize};

/// conversation ‖ entry ‖ u64 number ‖ u64 arrival → nothing: what was said, by its id.
const BY_ENTRY: Table = Table::new("record-entry");
/// conversation ‖ entry ‖ account → [`Amended`].
const AMENDED: Table = Table::new("record-amended");

/// What one account did about a message.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Amended {
    taken_back: bool,
    /// The newest correction: its number, and the place of its record.
    edit: Option<(u64, u64)>,
    /// The newest reaction: its number, and which; empty for none any more.
    reaction: Option<(u64, String)>,
}

/// What was done about a message.
#[derive(Debug, Default)]
pub(super) struct Since {
    pub(super) taken_back: bool,
    /// Its newest text.
    pub(super) text: Option<String>,
    /// Each of them with who, in the order of the log.
    pub(super) reactions: Vec<(AccountId, String)>,
}

/// A message that another one is about.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) arrival: u64,
    pub(super) header: Header,
    pub(super) content: Content,
}

/// A message was written down: what it does to others, and what others have done to it.
pub(super) fn noted(tx: &Writer<'_>, arrival: u64, header: &Header, content: &Content) -> Result<(), Problem> {
    let (Some(entry), Some((from, _))) = (header.entry, header.from) else {
        return Ok(());
    };
    if let Some(target) = content.body.target() {
        amend(tx, arrival, header, target, from, &content.body)?;
        return blank(tx, header.conversation, target, from);
    }
    if content.body.is_said() {
        tx.put(BY_ENTRY, &by_entry(header, entry, arrival), &[])?;
        return blank(tx, header.conversation, entry, from);
    }
    Ok(())
}

/// A record goes.
pub(super) fn forget(tx: &Writer<'_>, arrival: u64, header: &Header) -> Result<(), Problem> {
    if let Some(entry) = header.entry {
        tx.delete(BY_ENTRY, &by_entry(header, entry, arrival))?;
    }
    Ok(())
}

/// All that was done about a message goes with it.
pub(super) fn forget_all(tx: &Writer<'_>, header: &Header) -> Result<(), Problem> {
    let Some(entry) = header.entry else {
        return Ok(());
    };
    let prefix = [&header.conversation.as_bytes()[..], entry.as_bytes()].concat();
    for (key, _) in tx.list(AMENDED, Scan::prefix(&prefix))? {
        tx.delete(AMENDED, &key)?;
    }
    Ok(())
}

fn amend(tx: &Writer<'_>, arrival: u64, header: &Header, target: EntryId, from: AccountId, body: &Body) -> Result<(), Problem> {
    let key = by_account(header.conversation, target, from);
    let mut amended: Amended = rows::get(tx, AMENDED, &key)?.unwrap_or_default();
    match body {
        Body::Delete(_) => amended.taken_back = true,
        // What was blanked, there or here.
        Body::Edit(edit) if edit.body.is_empty() => return Ok(()),
        Body::Edit(_) => match amended.edit {
            Some((seq, _)) if seq > header.seq => return rewrite(tx, arrival, |_, body| blank_text(body)),
            older => {
                if let Some((_, older)) = older.filter(|(_, older)| *older != arrival) {
                    rewrite(tx, older, |_, body| blank_text(body))?;
                }
                amended.edit = Some((header.seq, arrival));
            }
        },
        Body::React(react) => {
            if amended.reaction.as_ref().is_none_or(|(seq, _)| *seq <= header.seq) {
                amended.reaction = Some((header.seq, react.emoji.clone()));
            }
        }
        _ => return Ok(()),
    }
    if !matches!(body, Body::React(_)) && is_others(tx, header.conversation, target, from)? {
        tracing::warn!(
            conversation = %header.conversation, seq = header.seq, account = %from,
            "somebody tried to change a message of somebody else: that is ignored"
        );
    }
    rows::put(tx, AMENDED, &key, &amended)
}

/// True where the message is here, and of somebody else.
fn is_others(tx: &Reader<'_>, conversation: ConversationId, target: EntryId, from: AccountId) -> Result<bool, Problem> {
    let found = find(tx, conversation, target, Some(from))?;
    Ok(found.is_some_and(|found| found.header.from.is_some_and(|(account, _)| account != from)))
}

/// Blanks what nobody is to read any more of an account's message.
fn blank(tx: &Writer<'_>, conversation: ConversationId, target: EntryId, account: AccountId) -> Result<(), Problem> {
    let Some(amended) = rows::get::<Amended>(tx, AMENDED, &by_account(conversation, target, account))? else {
        return Ok(());
    };
    if !amended.taken_back && amended.edit.is_none() {
        return Ok(());
    }
    for arrival in places(tx, conversation, target)? {
        rewrite(tx, arrival, |header, body| match body {
            _ if header.from.is_none_or(|(from, _)| from != account) => false,
            Body::Text(_) if !amended.taken_back => blank_text(body),
            _ if !amended.taken_back => false,
            said => std::mem::replace(said, Body::text("")) != Body::text(""),
        })?;
        if amended.taken_back {
            tx.delete(SAVED, &arrival.to_be_bytes())?;
        }
    }
    match amended.edit {
        Some((_, edit)) if amended.taken_back => rewrite(tx, edit, |_, body| blank_text(body)),
        _ => Ok(()),
    }
}

/// Says whether there was a text.
fn blank_text(body: &mut Body) -> bool {
    let text = match body {
        Body::Text(text) => &mut text.body,
        Body::Edit(edit) => &mut edit.body,
        _ => return false,
    };
    !std::mem::take(text).is_empty()
}

/// Changes what a record says, where it is there and `change` does so.
fn rewrite(tx: &Writer<'_>, arrival: u64, change: impl FnOnce(&Header, &mut Body) -> bool) -> Result<(), Problem> {
    let Some(row) = tx.get(RECORDS, &arrival.to_be_bytes())? else {
        return Ok(());
    };
    let Some((header, mut content)) = message(row.expose())? else {
        return Ok(());
    };
    if !change(&header, &mut content.body) {
        return Ok(());
    }
    let bytes = content.encode().map_err(fastchat_e2e::groups::Error::from)?;
    write(tx, arrival, &header, bytes.expose())
}

/// A row that is a message.
fn message(row: &[u8]) -> Result<Option<(Header, Content)>, Problem> {
    let (header, content) = split(row)?;
    let (None, Some(entry)) = (&header.event, header.entry) else {
        return Ok(None);
    };
    Ok(Content::parse(content, entry).ok().map(|content| (header, content)))
}

/// The message of this id; where several claim it, that of this account, else the first in the log.
pub(super) fn find(tx: &Reader<'_>, conversation: ConversationId, entry: EntryId, of: Option<AccountId>) -> Result<Option<Found>, Problem> {
    let mut first = None;
    for arrival in places(tx, conversation, entry)? {
        let row = tx.get(RECORDS, &arrival.to_be_bytes())?.ok_or_else(|| rows::damaged(BY_ENTRY))?;
        let Some((header, content)) = message(row.expose())? else {
            continue;
        };
        let is_theirs = of.is_none() || header.from.map(|(account, _)| account) == of;
        let found = Found { arrival, header, content };
        if is_theirs {
            return Ok(Some(found));
        }
        first.get_or_insert(found);
    }
    Ok(first)
}

/// Ids of what was said in a conversation, in their order.
pub(super) fn ids(tx: &Reader<'_>, conversation: ConversationId) -> Result<Vec<EntryId>, Problem> {
    let found = tx.list(BY_ENTRY, Scan::prefix(conversation.as_bytes()))?;
    let id = |(key, _): &(Vec<u8>, _)| {
        let entry = key.get(16..32).and_then(|entry| entry.try_into().ok());
        entry.map(EntryId).ok_or_else(|| rows::damaged(BY_ENTRY))
    };
    found.iter().map(id).collect()
}

/// Places of the messages of this id, in the order of the log.
fn places(tx: &Reader<'_>, conversation: ConversationId, entry: EntryId) -> Result<Vec<u64>, Problem> {
    let prefix = [&conversation.as_bytes()[..], entry.as_bytes()].concat();
    let place = |(key, _): &(Vec<u8>, _)| match key.split_last_chunk() {
        Some((_, arrival)) => Ok(u64::from_be_bytes(*arrival)),
        None => Err(rows::damaged(BY_ENTRY)),
    };
    tx.list(BY_ENTRY, Scan::prefix(&prefix))?.iter().map(place).collect()
}

/// What was done about a message.
pub(super) fn since(tx: &Reader<'_>, arrival: u64, header: &Header, content: &Content) -> Result<Since, Problem> {
    let (Some(entry), true) = (header.entry, content.body.is_said()) else {
        return Ok(Since::default());
    };
    let prefix = [&header.conversation.as_bytes()[..], entry.as_bytes()].concat();
    let mut since = Since::default();
    let mut reactions = Vec::new();
    for (key, row) in tx.list(AMENDED, Scan::prefix(&prefix))? {
        let account = key
            .last_chunk()
            .map(|account| AccountId(*account))
            .ok_or_else(|| rows::damaged(AMENDED))?;
        let amended: Amended = rows::parse(AMENDED, row.expose())?;
        if header.from.is_some_and(|(from, _)| from == account) {
            since.taken_back = amended.taken_back;
            since.text = amended.edit.map(|(_, edit)| edited(tx, edit)).transpose()?.flatten();
        }
        if let Some((seq, emoji)) = amended.reaction.filter(|(_, emoji)| !emoji.is_empty()) {
            reactions.push((seq, account, emoji));
        }
    }
    // Without its text, and without another one: what replaced it never came here.
    let is_blank = matches!(&content.body, Body::Text(text) if text.body.is_empty());
    since.taken_back |= is_blank && since.text.is_none();
    since.text = since.text.filter(|_| !since.taken_back && matches!(content.body, Body::Text(_)));
    // Somebody else's message of the same id has none of them.
    if !since.taken_back && !reactions.is_empty() && places(tx, header.conversation, entry)?.first() == Some(&arrival) {
        since.reactions = first_kinds(reactions);
    }
    Ok(since)
}

/// The reactions in the order of the log; of more than [`REACTIONS_MAX`] kinds those that came first.
fn first_kinds(mut reactions: Vec<(u64, AccountId, String)>) -> Vec<(AccountId, String)> {
    reactions.sort();
    let mut kinds: Vec<String> = Vec::new();
    let mut kept = Vec::with_capacity(reactions.len());
    for (_, account, emoji) in reactions {
        let is_known = kinds.contains(&emoji);
        if !is_known && kinds.len() == REACTIONS_MAX {
            continue;
        }
        if !is_known {
            kinds.push(emoji.clone());
        }
        kept.push((account, emoji));
    }
    kept
}

fn edited(tx: &Reader<'_>, arrival: u64) -> Result<Option<String>, Problem> {
    let Some(row) = tx.get(RECORDS, &arrival.to_be_bytes())? else {
        return Ok(None);
    };
    Ok(match message(row.expose())? {
        Some((
            _,
            Content {
                body: Body::Edit(edit), ..
            },
        )) if !edit.body.is_empty() => Some(edit.body),
        _ => None,
    })
}

/// The first words of a message.
pub(super) fn excerpt(found: &Found, since: &Since) -> Option<String> {
    let text = match &found.content.body {
        _ if since.taken_back => return None,
        Body::Text(text) => since.text.as_deref().unwrap_or(&text.body),
        Body::File(file) => &file.name,
        _ => return None,
    };
    Some(text.lines().next().unwrap_or_default().chars().take(EXCERPT_CHARS_MAX).collect())
}

fn by_entry(header: &Header, entry: EntryId, arrival: u64) -> Vec<u8> {
    let numbers = [header.seq.to_be_bytes(), arrival.to_be_bytes()].concat();
    [&header.conversation.as_bytes()[..], entry.as_bytes(), &numbers].concat()
}

fn by_account(conversation: ConversationId, entry: EntryId, account: AccountId) -> Vec<u8> {
    [&conversation.as_bytes()[..], entry.as_bytes(), account.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_kinds_of_reactions_those_count_that_came_first() {
        let reaction = |n: u64| (n, AccountId([u8::try_from(n).unwrap_or(0); 16]), format!("{n}"));
        let kinds = u64::try_from(REACTIONS_MAX).unwrap();
        let mut found: Vec<_> = (0..=kinds).map(reaction).collect();
        // Of a kind that counts, and of the one that is too many.
        found.extend([
            (100, AccountId([100; 16]), "7".to_owned()),
            (101, AccountId([101; 16]), kinds.to_string()),
        ]);
        found.reverse();
        let kept = first_kinds(found);
        assert_eq!(kept.len(), REACTIONS_MAX + 1);
        assert_eq!(kept.first().map(|(_, emoji)| &**emoji), Some("0"));
        assert_eq!(kept.last(), Some(&(AccountId([100; 16]), "7".to_owned())));
        assert!(kept.iter().all(|(_, emoji)| *emoji != kinds.to_string()));
    }
}
