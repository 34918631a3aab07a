//! The profile as a session's outbox: what was sealed and doesn't stand in its log yet.
//!
//! ```text
//!  first ──> sent ──┬─ appended ──> taken in the log's order, told to whoever waits
//!                   ├─ epoch-conflict: a message is sealed again once the log was read, a commit is dropped
//!                   │                  (whoever wants the change makes it again)
//!                   └─ refused ─────> dropped, told
//! ```
//!
//! In a conversation that is stopped ([`trust`]) messages wait; commits go. Nothing goes where this device can't follow.

use super::{
    Live, Profile, archive, rooms,
    take::{self, Heard},
    tasks::{self, Outcome},
    trust,
};
use crate::{
    error::Refused,
    ids::{Expose, Seal},
    journal::StorageError,
    outbox::{Outbox, Outgoing, Payload, Settlement},
    problem::Problem,
    session::Ended,
};
use bytes::Bytes;
use fastchat_e2e::{
    self as e2e, ConversationId, EntryId as Sealed,
    archive::KIND_RECORD,
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
        let (conversations, archive) = self.look(|groups, tx| {
            let archive = archive::has_unsent(tx)?.then_some(groups.me().account);
            Ok((groups.conversations_to_send_to(tx)?, archive))
        })?;
        let conversations = conversations.into_iter().map(Expose::wire);
        let archive = archive.map(|account| LogId::archive_of(account.wire()));
        Ok(conversations.chain(archive).collect())
    }

    fn first(&self, log: LogId, entries_max: usize, bytes_max: usize) -> Result<Vec<Outgoing>, StorageError> {
        let conversation = log.sealed();
        let mut live = self.live()?;
        let Live { groups, epochs, offered } = &mut *live;
        let groups = groups.as_mut().ok_or(Problem::Ended(Ended::NoToken))?;
        if log == LogId::archive_of(groups.me().account.wire()) {
            let first = self.store.read(|tx| archive::first(tx, entries_max, bytes_max))?;
            return Ok(first.into_iter().map(|(entry, block)| batch(log, entry, block)).collect());
        }
        let reached = epochs.get(&conversation).copied().unwrap_or(0);
        let first = self.store.read(|tx| -> Result<_, Problem> {
            if groups.stranding(tx, conversation)?.is_some() {
                // Sealed for nobody: it is sealed again once this device is in.
                return Ok((Vec::new(), HashMap::new()));
            }
            let is_direct = rooms::peer(tx, conversation)?.is_some();
            let is_stopped = !trust::stops(tx, conversation)?.is_empty();
            let mut bytes = 0;
            let mut first = Vec::new();
            let mut epochs = HashMap::new();
            groups.each_pending(tx, |waiting| {
                if waiting.conversation != conversation {
                    return ControlFlow::Continue(());
                }
                // Nothing is said where somebody is not who they were; who that is can be removed.
                if is_stopped && matches!(waiting.payload, groups::Payload::Message { .. }) {
                    return ControlFlow::Continue(());
                }
                // Nothing behind what must be sealed again: it would overtake it.
                if first.len() >= entries_max || waiting.epoch < reached {
                    return ControlFlow::Break(());
                }
                let (entry, epoch) = (waiting.entry, waiting.epoch);
                let outgoing = to_wire(waiting, is_direct);
                bytes += outgoing.block_bytes();
                if bytes > bytes_max && !first.is_empty() {
                    return ControlFlow::Break(());
                }
                epochs.insert(entry, epoch);
                first.push(outgoing);
                ControlFlow::Continue(())
            })?;
            Ok((first, epochs))
        });
        let (first, epochs) = first?;
        offered.insert(conversation, epochs);
        Ok(first)
    }

    fn settle(&self, settled: &[(EntryId, Settlement)]) -> Result<(), StorageError> {
        {
            let mut live = self.live()?;
            let Live { groups, epochs, offered } = &mut *live;
            let Some(groups) = groups else { return Ok(()) };
            let together = self.store.write(|tx| settle_all(groups, epochs, offered, tx, settled));
            match together {
                Err(problem) if !matches!(problem, Problem::Store(_)) => {
                    // One conversation is at fault: the others go on without it.
                    for one in settled {
                        let alone = self
                            .store
                            .write(|tx| settle_all(groups, epochs, offered, tx, std::slice::from_ref(one)));
                        match alone {
                            Err(problem) if !matches!(problem, Problem::Store(_)) => {
                                tracing::error!(entry = %one.0, %problem, "what became of an entry can't be taken");
                                self.store.write(|tx| give_up(groups, tx, one))?;
                            }
                            alone => alone?,
                        }
                    }
                }
                together => together?,
            }
        }
        self.changed();
        Ok(())
    }
}

fn settle_all(
    groups: &mut Groups,
    epochs: &mut HashMap<ConversationId, u64>,
    offered: &HashMap<ConversationId, HashMap<e2e::EntryId, u64>>,
    tx: &Writer<'_>,
    settled: &[(EntryId, Settlement)],
) -> Result<(), Problem> {
    let mut waiting = find(groups, tx, settled)?;
    for (entry, settlement) in settled {
        let seq = match settlement {
            Settlement::Appended(appended) => Some(appended.seq),
            Settlement::Refused(_) => None,
        };
        if archive::settle(tx, entry.sealed(), seq)? {
            if let Settlement::Refused(refused) = settlement {
                // The next device that restores is told of the hole.
                tracing::error!(%refused, "the fleet does not take a batch of the archive");
            }
            continue;
        }
        // Another process of this profile may have been told before.
        let Some(row) = waiting.remove(&entry.sealed()) else {
            continue;
        };
        match settlement {
            Settlement::Appended(appended) => {
                tasks::settle(tx, row.entry, &outcome(&row, settlement))?;
                let heard = groups.acknowledged(tx, row.conversation, row.entry, appended.seq)?;
                take::note_all(groups, tx, row.conversation, heard, &Heard::Acknowledged)?;
            }
            Settlement::Refused(refused) => {
                let offered = offered.get(&row.conversation).and_then(|batch| batch.get(&row.entry)).copied();
                settle_refused(groups, epochs, tx, &row, offered.unwrap_or(row.epoch), refused)?;
            }
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

/// An entry whose conversation is damaged: told, and not sent again.
fn give_up(groups: &mut Groups, tx: &Writer<'_>, one: &(EntryId, Settlement)) -> Result<(), Problem> {
    let (entry, settlement) = one;
    let Some(row) = find(groups, tx, std::slice::from_ref(one))?.remove(&entry.sealed()) else {
        return Ok(());
    };
    tasks::settle(tx, row.entry, &outcome(&row, settlement))?;
    groups.discard(tx, row.conversation, row.entry)?;
    Ok(())
}

/// What whoever waits for it is told.
fn outcome(row: &groups::Outgoing, settlement: &Settlement) -> Outcome {
    match settlement {
        Settlement::Appended(appended) => Outcome::Sent {
            conversation: row.conversation,
            seq: appended.seq,
            at_ms: appended.at,
        },
        Settlement::Refused(refused) => refused.into(),
    }
}

fn settle_refused(
    groups: &mut Groups,
    epochs: &mut HashMap<ConversationId, u64>,
    tx: &Writer<'_>,
    row: &groups::Outgoing,
    offered: u64,
    refused: &Refused,
) -> Result<(), Problem> {
    if refused.code == Code::EpochConflict {
        let reached = refused.epoch.unwrap_or(offered + 1);
        if row.epoch > offered || row.epoch == reached {
            // Sealed again while the refusal was on its way: what was refused is not what waits now.
            return Ok(());
        }
        if reached > row.epoch {
            epochs.insert(row.conversation, reached);
            match row.payload {
                groups::Payload::Message { .. } => take::seal_again(groups, tx, row.conversation)?,
                groups::Payload::Commit { .. } if row.epoch == 0 => take::abandon_founding(groups, tx, row.conversation)?,
                groups::Payload::Commit { .. } => _ = groups.withdraw(tx, row.conversation)?,
            }
            return Ok(());
        }
        // The server has gone back behind what this device knows: no try will change that.
    }
    tasks::settle(tx, row.entry, &refused.into())?;
    groups.discard(tx, row.conversation, row.entry)?;
    Ok(())
}

/// A batch of the archive, as it goes over the wire.
fn batch(log: LogId, entry: Sealed, block: Vec<u8>) -> Outgoing {
    Outgoing {
        log,
        entry: entry.wire(),
        payload: Payload::Append {
            kind: KIND_RECORD.to_owned(),
            epoch: None,
            block: Bytes::from(block),
        },
    }
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
