//! Telling a conversation's members what no log keeps: marks and signals.
//!
//! Whoever is told is a member by a roster that is not older than the one that
//! the hint was made under: who was removed before it hears nothing of it,
//! wherever it is online.

use super::{Hint, Origin, shard::Shard};
use crate::{bus::Message, server::hub::Pushed};
use fastchat_wire::{AccountId, Block, encode_event, limits::MARK_EVENT_MEMBERS_MAX};

impl Shard {
    /// Tells the members that are online, here and on the other servers.
    pub(super) async fn hint(&mut self, hint: &Hint, members_seq: u64, origin: Origin) {
        let Some(roster) = self.roster(hint.conversation(), Some(members_seq)).await else {
            // It is lost, as hints may be; the log says why.
            return;
        };
        let present = roster.members.iter().filter(|member| member.through_seq.is_none());
        let members: Vec<AccountId> = present.map(|member| member.account).collect();
        let (teller, encoded) = match hint {
            Hint::Mark(mark) if members.len() <= MARK_EVENT_MEMBERS_MAX => (mark.account, encode_event(None, mark, &Block::none())),
            Hint::Mark(_) => return,
            Hint::Signal { signal, block, .. } => (signal.from, encode_event(None, signal, &Block::binary(block.clone()))),
        };
        if !members.contains(&teller) {
            return;
        }
        let frame = match encoded {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(%error, "a hint can't be written as an event");
                return;
            }
        };
        // An account's other devices hear its signals; its own marks it knows.
        let told = |account: &AccountId| matches!(hint, Hint::Signal { .. }) || *account != teller;
        let readers = members.iter().copied().filter(told);
        if origin == Origin::Here {
            self.parts.peers.forward(&readers, &message(hint, members_seq));
        }
        let mut pushed = Pushed::default();
        for account in readers {
            pushed += self.parts.hub.push(account, |online| {
                let sent_it = matches!(hint, Hint::Signal { sender: Some(sender), .. } if *sender == online.connection);
                (!sent_it).then(|| frame.clone())
            });
        }
        self.parts.metrics.hints(hint.event(), pushed);
    }
}

/// What other servers are told.
fn message(hint: &Hint, members_seq: u64) -> Message {
    match hint {
        Hint::Mark(mark) => Message::Mark {
            mark: mark.clone(),
            members_seq,
        },
        Hint::Signal { signal, block, .. } => Message::Signal {
            signal: signal.clone(),
            members_seq,
            block: block.clone(),
        },
    }
}
