//! What a device reads: its inbox, then each log in its order.

use super::{Device, Own, Said};
use crate::{
    mls::Failure,
    room::{Believes, Room},
};
use fastchat_client::{Entry, chat};
use fastchat_e2e::{
    AccountId, Content, ConversationId, DeviceId, EntryId,
    content::Body,
    log::{KIND_COMMIT, KIND_MESSAGE, KIND_WELCOME},
    mls::MemberDevice,
};
use fastchat_wire::{Code, LogId, chat::commit::WelcomedNotice};

const KIND_WELCOMED: &str = "welcomed";

impl Device {
    /// Reads everything there is: invitations, then all conversations.
    pub(super) fn follow(&mut self) -> Result<(), Failure> {
        for notice in self.fetch(LogId(self.device.0), self.inbox)? {
            self.inbox = notice.seq();
            if notice.head.kind == KIND_WELCOMED {
                self.join(&serde_json::from_slice(&notice.block)?)?;
            }
        }
        let rooms: Vec<_> = self.rooms.keys().copied().collect();
        for conversation in rooms {
            while let Some(room) = self.rooms.get(&conversation) {
                let entries = match self.fetch(LogId(conversation.0), room.seq) {
                    // Removed, and put out by the server before the commit could be read.
                    Err(failure) if is_not_member(&*failure) => {
                        self.rooms.remove(&conversation);
                        break;
                    }
                    entries => entries?,
                };
                if entries.is_empty() {
                    break;
                }
                for entry in entries {
                    self.take(conversation, &entry)?;
                }
            }
        }
        Ok(())
    }

    fn fetch(&self, log: LogId, after: u64) -> Result<Vec<Entry>, Failure> {
        Ok(self.runtime.block_on(chat::fetch(&self.connection, log, after))?.entries)
    }

    fn join(&mut self, notice: &WelcomedNotice) -> Result<(), Failure> {
        let conversation = ConversationId(notice.conversation.0);
        if self.rooms.contains_key(&conversation) {
            return Ok(());
        }
        let entries = self.fetch(notice.conversation, notice.seq.saturating_sub(2))?;
        let [commit, welcome, ..] = &entries[..] else {
            return Err("no commit and Welcome where the notice says".into());
        };
        if (commit.head.kind.as_str(), welcome.head.kind.as_str()) != (KIND_COMMIT, KIND_WELCOME) {
            return Err("no commit and Welcome where the notice says".into());
        }
        self.mls.join(conversation, &welcome.block)?;
        self.mls.view(conversation)?.check()?;
        let epoch = commit.head.epoch.ok_or("a commit without an epoch")? + 1;
        let adder = named(welcome).ok_or("a Welcome of nobody")?;
        self.rooms.insert(
            conversation,
            Room::joined(conversation, commit.seq(), epoch, Believes::Adder(adder)),
        );
        Ok(())
    }

    /// Takes a log's next entry.
    fn take(&mut self, conversation: ConversationId, entry: &Entry) -> Result<(), Failure> {
        let own = self.own.remove(&EntryId(entry.head.entry.0));
        match (entry.head.kind.as_str(), own) {
            (KIND_MESSAGE, None) => self.take_message(conversation, entry)?,
            (KIND_COMMIT, own) => self.take_commit(conversation, entry, own == Some(Own::Commit))?,
            _ => {}
        }
        match self.rooms.get_mut(&conversation) {
            Some(room) => room.advance(entry),
            None => Ok(()),
        }
    }

    fn take_message(&mut self, conversation: ConversationId, entry: &Entry) -> Result<(), Failure> {
        let opened = self.mls.open(conversation, &entry.block)?;
        let view = self.mls.view(conversation)?;
        let sender = view.leaves.get(&opened.sender).ok_or("sealed by no leaf")?.subject();
        let who = MemberDevice {
            account: sender.account,
            device: sender.device,
        };
        if named(entry) != Some(who) {
            return Err(format!("the server names {:?} for what {who:?} sealed", named(entry)).into());
        }
        let content = Content::parse(&opened.plaintext, EntryId(entry.head.entry.0))?;
        if let Body::Text(text) = content.body {
            self.said.push(Said {
                conversation,
                from: sender.username.to_string(),
                text: text.body,
            });
        }
        let room = self.rooms.get_mut(&conversation).ok_or("not in this conversation")?;
        room.compare(who, &opened.authenticated)
    }

    fn take_commit(&mut self, conversation: ConversationId, entry: &Entry, own: bool) -> Result<(), Failure> {
        let room = self.rooms.get_mut(&conversation).ok_or("not in this conversation")?;
        room.epoch = entry.head.epoch.ok_or("a commit without an epoch")? + 1;
        if own {
            self.mls.apply(conversation)?;
        } else {
            let processed = self.mls.process(conversation, &entry.block)?;
            if processed.out {
                self.rooms.remove(&conversation);
                return Ok(());
            }
            let who = named(entry).ok_or("a commit of nobody")?;
            room.compare(who, &processed.authenticated)?;
        }
        self.mls.view(conversation)?.check()
    }
}

fn is_not_member(failure: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let failure = failure.downcast_ref::<fastchat_client::Failure>();
    failure.and_then(fastchat_client::Failure::code) == Some(Code::NotMember)
}

fn named(entry: &Entry) -> Option<MemberDevice> {
    Some(MemberDevice {
        account: AccountId(entry.head.from?.0),
        device: DeviceId(entry.head.device?.0),
    })
}
