//! A conversation as it stands under its log's lock.

use super::{
    Denied, Result,
    logs::Create,
    rules::{Membership, State},
    values::{self, LogKind},
};
use fastchat_schema::Columns;
use fastchat_wire::{AccountId, LogId, chat::create::ConversationKind};

/// A conversation's counters and present members.
#[derive(Debug, Clone)]
pub(in crate::store) struct Standing {
    pub(in crate::store) last_seq: u64,
    pub(in crate::store) members_seq: u64,
    pub(in crate::store) state: State,
}

impl Standing {
    /// A conversation that is about to begin.
    pub(in crate::store) fn empty(kind: ConversationKind) -> Self {
        Self {
            last_seq: 0,
            members_seq: 0,
            state: State {
                kind,
                epoch: 0,
                members: Vec::new(),
            },
        }
    }

    /// From the log's row and those of its present members. Denied: `not-member` where it is no conversation.
    pub(in crate::store) fn read<R: Columns>(log: &R, members: &[R]) -> Result<Self> {
        let LogKind::Conversation(kind) = values::log_kind(log, "kind")? else {
            return Err(Denied::NotMember.into());
        };
        let members = members.iter().map(|row| {
            Ok(Membership {
                account: values::id(row, "account_id")?,
                role: values::role(row, "role")?,
                from_seq: values::number(row, "from_seq")?,
            })
        });
        Ok(Self {
            last_seq: values::number(log, "last_seq")?,
            members_seq: values::number(log, "members_seq")?,
            state: State {
                kind,
                epoch: values::number(log, "epoch")?,
                members: members.collect::<Result<_>>()?,
            },
        })
    }
}

/// A log of the new conversation's id exists: it may be the creator's own, again. Denied: `conflict`.
pub(in crate::store) fn taken(row: &impl Columns, create: &Create) -> Result<LogId> {
    let creator: AccountId = values::id(row, "account_id")?;
    let own = creator == create.actor.account
        && create.kind == ConversationKind::Group
        && values::log_kind(row, "kind")? == LogKind::Conversation(ConversationKind::Group);
    if own {
        Ok(create.conversation)
    } else {
        Err(Denied::Conflict("that id stands for something else: choose another").into())
    }
}
