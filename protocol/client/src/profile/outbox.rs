//! The profile as a session's outbox: what was sealed and doesn't stand in its log yet.
//!
//! ```text
//!  first ──> sent ──┬─ appended ──> taken in the log's order, told to whoever waits
//!                   ├─ epoch-conflict: a message is sealed again once the log was read, a commit is dropped
//!                   │                  (whoever wants the change makes it again)
//!                   └─ refused ─────> dropped, told
//! ```

use super::{
    Live, Profile, rooms,
    take::{self, Heard},
    tasks::{self, Outcome},
};
use crate::{
    error::Refused,
    ids::{Expose, Seal},
    journal::StorageError,
    outbox::{Outbox, Outgoing, Payload, Settlement},
    problem::Problem,
};
use bytes::Bytes;
use fastchat_e2e::{
    ConversationId, EntryId as Sealed,
    groups::{self, Groups},
    log::KIND_MESSAGE,
    store::Writer,
};
use fastchat_wire::{Code, EntryId, LogId, chat::commit::CommitLists};
use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

impl Outbox for Profile {
    fn add(&self, _: Outgoing) -> Result<(), StorageError> {
        Err("what this profile sends is sealed into it: queue a message instead".into())
    }

    fn logs(&self) -> Result<Vec<LogId>, StorageError> {
        let conversations = self.look(|groups, tx| Ok(groups.conversations_to_send_to(tx)?))?;
        Ok(conversations.into_iter().map(Expose::wire).collect())
    }

    fn first(&self, log: LogId, entries_max: usize, bytes_max: usize) -> Result<Vec<Outgoing>, StorageError> {
        let conversation = log.sealed();
        let mut live = self.live()?;
        let reached = live.epochs.get(&conversation).copied().unwrap_or(0);
        let groups = live.groups()?;
        let first = self.store.read(|tx| -> Result<_, Problem> {
            let is_direct = rooms::peer(tx, conversation)?.is_some();
            let mut bytes = 0;
            let mut first = Vec::new();
            groups.each_pending(tx, |waiting| {
                if waiting.conversation != conversation {
                    return ControlFlow::Continue(());
                }
                // Nothing behind what must be sealed again: it would overtake it.
                if first.len() >= entries_max || waiting.epoch < reached {
                    return ControlFlow::Break(());
                }
                let outgoing = to_wire(waiting, is_direct);
                bytes += outgoing.block_bytes();
                if bytes > bytes_max && !first.is_empty() {
                    return ControlFlow::Break(());
                }
                first.push(outgoing);
                ControlFlow::Continue(())
            })?;
            Ok(first)
        });
        Ok(first?)
    }

    fn settle(&self, settled: &[(EntryId, Settlement)]) -> Result<(), StorageError> {
        {
            let mut live = self.live()?;
            let Live { groups, epochs } = &mut *live;
            let Some(groups) = groups else { return Ok(()) };
            self.store.write(|tx| settle_all(groups, epochs, tx, settled))?;
        }
        self.changed();
        Ok(())
    }
}

fn settle_all(
    groups: &mut Groups,
    epochs: &mut HashMap<ConversationId, u64>,
    tx: &Writer<'_>,
    settled: &[(EntryId, Settlement)],
) -> Result<(), Problem> {
    let mut waiting = find(groups, tx, settled)?;
    for (entry, settlement) in settled {
        // Another process of this profile may have been told before.
        let Some(row) = waiting.remove(&entry.sealed()) else {
            continue;
        };
        match settlement {
            Settlement::Appended(appended) => {
                let outcome = Outcome::Sent {
                    conversation: row.conversation,
                    seq: appended.seq,
                    at_ms: appended.at,
                };
                tasks::settle(tx, row.entry, &outcome)?;
                let heard = groups.acknowledged(tx, row.conversation, row.entry, appended.seq)?;
                take::note_all(groups, tx, row.conversation, heard, &Heard::Acknowledged)?;
            }
            Settlement::Refused(refused) => settle_refused(groups, epochs, tx, &row, refused)?,
        }
    }
    Ok(())
}

/// What is to be settled, as it waits; it is what was sealed first.
fn find(groups: &Groups, tx: &Writer<'_>, settled: &[(EntryId, Settlement)]) -> Result<HashMap<Sealed, groups::Outgoing>, Problem> {
    let wanted: HashSet<Sealed> = settled.iter().map(|(entry, _)| entry.sealed()).collect();
    let mut found = HashMap::with_capacity(wanted.len());
    groups.each_pending(tx, |row| {
        if wanted.contains(&row.entry) {
            found.insert(row.entry, row);
        }
        match found.len() < wanted.len() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    Ok(found)
}

fn settle_refused(
    groups: &mut Groups,
    epochs: &mut HashMap<ConversationId, u64>,
    tx: &Writer<'_>,
    row: &groups::Outgoing,
    refused: &Refused,
) -> Result<(), Problem> {
    let reached = refused.epoch.unwrap_or(row.epoch + 1);
    if refused.code == Code::EpochConflict && reached >= row.epoch {
        if reached == row.epoch {
            // Sealed again while the refusal was on its way.
            return Ok(());
        }
        epochs.insert(row.conversation, reached);
        match row.payload {
            groups::Payload::Message { .. } => take::seal_again(groups, tx, row.conversation)?,
            // Somebody else founded this conversation: this device joins theirs.
            groups::Payload::Commit { .. } if row.epoch == 0 => _ = groups.forget(tx, row.conversation)?,
            groups::Payload::Commit { .. } => _ = groups.withdraw(tx, row.conversation)?,
        }
        return Ok(());
    }
    tasks::settle(tx, row.entry, &refused.into())?;
    groups.discard(tx, row.conversation, row.entry)?;
    Ok(())
}

/// As it goes over the wire.
fn to_wire(waiting: groups::Outgoing, is_direct: bool) -> Outgoing {
    let payload = match waiting.payload {
        groups::Payload::Message { block } => Payload::Append {
            kind: KIND_MESSAGE.to_owned(),
            epoch: Some(waiting.epoch),
            block: Bytes::from(block),
        },
        groups::Payload::Commit {
            commit,
            welcome,
            group_info,
            added,
            removed,
            welcome_to,
        } => {
            let (welcome_entry, welcome) = welcome.unzip();
            // The server keeps who is in a direct chat from its creation.
            let accounts = |accounts: Vec<fastchat_e2e::AccountId>| match is_direct {
                true => Vec::new(),
                false => accounts.into_iter().map(Expose::wire).collect(),
            };
            Payload::Commit {
                welcome_entry: welcome_entry.map(Expose::wire),
                epoch: waiting.epoch,
                pieces: crate::chat::CommitPieces {
                    lists: CommitLists {
                        add: accounts(added),
                        remove: accounts(removed),
                        welcome_to: welcome_to.into_iter().map(Expose::wire).collect(),
                    },
                    commit: commit.into(),
                    welcome: welcome.unwrap_or_default().into(),
                    group_info: group_info.into(),
                },
            }
        }
    };
    Outgoing {
        log: waiting.conversation.wire(),
        entry: waiting.entry.wire(),
        payload,
    }
}
