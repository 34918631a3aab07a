//! What a device puts into logs: again and again, where somebody else was faster.

use super::{Device, Own, Plan, new_id, now_ms};
use crate::mls::{Failure, Made, View};
use fastchat_client::{chat, chat::CommitPieces};
use fastchat_e2e::{
    Content, ConversationId, EntryId,
    content::{Body, Notice},
    log::KIND_MESSAGE,
};
use fastchat_wire::{
    Code, LogId,
    chat::{
        append::Append,
        commit::{Commit, CommitLists},
    },
};

impl Device {
    /// Commits, and tells those who come how the log stands.
    pub(super) fn commit(&mut self, conversation: ConversationId, plan: impl Fn(&View) -> Result<Plan, Failure>) -> Result<(), Failure> {
        loop {
            self.follow()?;
            let plan = plan(&self.mls.view(conversation)?)?;
            let room = self.rooms.get(&conversation).ok_or("not in this conversation")?;
            let made = self.mls.commit(conversation, &plan.change, &room.authenticated())?;
            let epoch = room.epoch;
            if self.send_commit(conversation, epoch, made, plan.lists)?.is_none() {
                self.mls.withdraw(conversation)?;
                continue;
            }
            self.follow()?;
            if !plan.tell.is_empty() {
                let notice = Notice {
                    notice: "added".to_owned(),
                    accounts: plan.tell,
                };
                self.send(conversation, Body::Notice(notice))?;
            }
            return Ok(());
        }
    }

    /// The number that a commit got; none where another one was faster.
    pub(super) fn send_commit(
        &mut self,
        conversation: ConversationId,
        epoch: u64,
        made: Made,
        lists: CommitLists,
    ) -> Result<Option<u64>, Failure> {
        let entry = EntryId(new_id());
        let request = Commit {
            conversation: LogId(conversation.0),
            entry: fastchat_wire::EntryId(entry.0),
            welcome_entry: made.welcome.is_some().then(|| fastchat_wire::EntryId(new_id())),
            epoch,
        };
        let pieces = CommitPieces {
            lists,
            commit: made.commit.into(),
            welcome: made.welcome.unwrap_or_default().into(),
            group_info: made.group_info.into(),
        };
        self.own.insert(entry, Own::Commit);
        match self.runtime.block_on(chat::commit(&self.connection, &request, &pieces)) {
            Ok(appended) => Ok(Some(appended.seq)),
            Err(failure) if failure.code() == Some(Code::EpochConflict) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Says it.
    pub(super) fn send(&mut self, conversation: ConversationId, body: Body) -> Result<(), Failure> {
        let content = Content {
            id: EntryId(new_id()),
            at_ms: now_ms()?,
            body,
        };
        loop {
            self.follow()?;
            let room = self.rooms.get(&conversation).ok_or("not in this conversation")?;
            let sealed = self.mls.seal(conversation, content.encode()?.expose(), &room.authenticated())?;
            let request = Append {
                log: LogId(conversation.0),
                entry: fastchat_wire::EntryId(content.id.0),
                kind: KIND_MESSAGE.to_owned(),
                epoch: Some(room.epoch),
            };
            self.own.insert(content.id, Own::Message);
            match self.runtime.block_on(chat::append(&self.connection, &request, sealed.into())) {
                Ok(_) => return self.follow(),
                Err(failure) if failure.code() == Some(Code::EpochConflict) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
    }
}
