//! A server that keeps logs as PROTOCOL.md says, and devices with stores in temporary folders.

use fastchat_e2e::{
    AccountId, ConversationId, Credential, DeviceId, DeviceKey, EntryId, IdentityKey,
    content::{Body, Content, Text},
    groups::{CommitIds, Entering, Error, Groups, Outgoing, Payload, Received, What},
    log::{Block, KIND_COMMIT, KIND_MEMBER, KIND_MESSAGE, KIND_WELCOME, LogEntry},
    mls::{Intent, Invite, Kind, MemberDevice},
    signal::Signal,
    store::Store,
};
use std::{collections::BTreeMap, time::Duration};
use tempfile::TempDir;

pub(crate) const NOW: Duration = Duration::from_secs(1_800_000_000);

pub(crate) fn entry_id() -> EntryId {
    EntryId(rand::random())
}

pub(crate) fn ids() -> CommitIds {
    CommitIds {
        commit: entry_id(),
        welcome: entry_id(),
        announcement: entry_id(),
    }
}

pub(crate) fn text(body: &str) -> Content {
    Content {
        id: entry_id(),
        at_ms: 1,
        body: Body::Text(Text {
            body: body.to_owned(),
            reply_to: None,
            mentions: vec![],
        }),
    }
}

/// An entry as the server keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) entry: EntryId,
    pub(crate) kind: &'static str,
    pub(crate) from: Option<MemberDevice>,
    pub(crate) epoch: Option<u64>,
    pub(crate) block: Vec<u8>,
}

impl Stored {
    pub(crate) fn view(&self, seq: u64) -> LogEntry<'_> {
        LogEntry {
            seq,
            entry: self.entry,
            kind: self.kind,
            from: self.from.map(|who| (who.account, who.device)),
            epoch: self.epoch,
            block: Block::Bytes(&self.block),
        }
    }
}

/// What the server answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Seq(u64),
    EpochConflict,
}

/// A conversation's log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    pub(crate) entries: Vec<Stored>,
    pub(crate) epoch: u64,
    /// Of the last commit.
    pub(crate) group_info: Vec<u8>,
    /// Per device: the number of the Welcome that it was told of.
    pub(crate) welcomed: BTreeMap<DeviceId, u64>,
}

impl Log {
    pub(crate) fn take(&mut self, from: MemberDevice, out: &Outgoing) -> Answer {
        let same = |stored: &Stored| stored.entry == out.entry && stored.from == Some(from);
        if let Some(at) = self.entries.iter().position(same) {
            return Answer::Seq(at as u64 + 1);
        }
        if out.epoch != self.epoch {
            return Answer::EpochConflict;
        }
        match &out.payload {
            Payload::Message { block } => self.push(out.entry, KIND_MESSAGE, Some(from), None, block.clone()),
            Payload::Commit {
                commit,
                welcome,
                added,
                removed,
                welcome_to,
                group_info,
            } => {
                self.group_info.clone_from(group_info);
                let seq = self.push(out.entry, KIND_COMMIT, Some(from), Some(self.epoch), commit.clone());
                if let Some((entry, block)) = welcome {
                    let at = self.push(*entry, KIND_WELCOME, Some(from), None, block.clone());
                    self.welcomed.extend(welcome_to.iter().map(|device| (*device, at)));
                }
                if !added.is_empty() || !removed.is_empty() {
                    self.push(entry_id(), KIND_MEMBER, Some(from), None, b"{}".to_vec());
                }
                self.epoch += 1;
                return Answer::Seq(seq);
            }
        };
        Answer::Seq(self.entries.len() as u64)
    }

    /// A commit of a device that comes in by itself.
    pub(crate) fn take_entering(&mut self, from: MemberDevice, entering: &Entering) -> Answer {
        let same = |stored: &Stored| stored.entry == entering.entry && stored.from == Some(from);
        if let Some(at) = self.entries.iter().position(same) {
            return Answer::Seq(at as u64 + 1);
        }
        if entering.epoch != self.epoch {
            return Answer::EpochConflict;
        }
        let seq = self.push(entering.entry, KIND_COMMIT, Some(from), Some(self.epoch), entering.commit.clone());
        self.group_info.clone_from(&entering.group_info);
        self.epoch += 1;
        Answer::Seq(seq)
    }

    pub(crate) fn push(
        &mut self,
        entry: EntryId,
        kind: &'static str,
        from: Option<MemberDevice>,
        epoch: Option<u64>,
        block: Vec<u8>,
    ) -> u64 {
        self.entries.push(Stored {
            entry,
            kind,
            from,
            epoch,
            block,
        });
        self.entries.len() as u64
    }
}

/// An account's identity.
pub(crate) struct Person {
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) identity: IdentityKey,
}

impl Person {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            account: AccountId(rand::random()),
            name: name.to_owned(),
            identity: IdentityKey::random(&mut rand::rng()),
        }
    }

    pub(crate) fn credential(&self, device: DeviceId, key: &DeviceKey) -> Credential {
        Credential::issue(&self.identity, self.account, self.name.parse().unwrap(), device, key.public(), 1)
    }
}

/// A device with its store.
pub(crate) struct Device {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) groups: Groups,
    pub(crate) credential: Credential,
    pub(crate) key: DeviceKey,
}

impl Device {
    pub(crate) fn of(person: &Person) -> Self {
        let folder = TempDir::new().unwrap();
        let key = DeviceKey::random(&mut rand::rng());
        let credential = person.credential(DeviceId(rand::random()), &key);
        Self {
            store: Store::create(folder.path()).unwrap(),
            groups: Groups::new(&credential, &key).unwrap(),
            folder,
            credential,
            key,
        }
    }

    pub(crate) fn new(name: &str) -> Self {
        Self::of(&Person::new(name))
    }

    pub(crate) fn me(&self) -> MemberDevice {
        self.groups.me()
    }

    /// As after `kill -9`: what was not committed is gone, what was is there.
    pub(crate) fn restart(self) -> Self {
        drop(self.store);
        Self {
            store: Store::open(self.folder.path()).unwrap(),
            groups: Groups::new(&self.credential, &self.key).unwrap(),
            ..self
        }
    }

    pub(crate) fn key_package(&mut self) -> Vec<u8> {
        let made = self.store.write(|tx| self.groups.make_key_packages(tx, 1, false, NOW));
        made.unwrap().remove(0)
    }

    pub(crate) fn commit(&mut self, conversation: ConversationId, intent: &Intent<'_>) -> Result<Outgoing, Error> {
        self.store.write(|tx| self.groups.commit(tx, conversation, intent, ids(), NOW))
    }

    pub(crate) fn say(&mut self, conversation: ConversationId, body: &str) -> Outgoing {
        self.store.write(|tx| self.groups.seal(tx, conversation, &text(body))).unwrap()
    }

    /// Signals that somebody is typing: the server's epoch, and the block.
    pub(crate) fn signal(&mut self, conversation: ConversationId) -> (u64, Vec<u8>) {
        let sealed = self.store.write(|tx| self.groups.seal_signal(tx, conversation, Signal::Typing));
        sealed.unwrap()
    }

    /// What somebody's signal says.
    pub(crate) fn hear(&mut self, conversation: ConversationId, block: &[u8]) -> Option<(MemberDevice, Signal)> {
        self.store.write(|tx| self.groups.open_signal(tx, conversation, block)).unwrap()
    }

    /// Makes the commit by which it comes in by itself.
    pub(crate) fn enter(&mut self, conversation: ConversationId, log: &Log) -> Result<Entering, Error> {
        let (info, epoch) = (&log.group_info, log.epoch);
        self.store.write(|tx| self.groups.enter(tx, conversation, entry_id(), info, epoch))
    }

    /// The server's answer to it.
    pub(crate) fn entered(&mut self, conversation: ConversationId, seq: u64) -> bool {
        self.store.write(|tx| self.groups.entered(tx, conversation, seq)).unwrap()
    }

    /// Comes in by itself, whatever it takes.
    pub(crate) fn comes_in(&mut self, conversation: ConversationId, log: &mut Log) {
        let entering = self.enter(conversation, log).unwrap();
        let Answer::Seq(seq) = log.take_entering(self.me(), &entering) else {
            panic!("nobody else commits");
        };
        assert!(self.entered(conversation, seq));
    }

    /// Sends what waits, in order, until there is nothing or a conflict.
    pub(crate) fn send(&mut self, log: &mut Log) -> Vec<(EntryId, Answer)> {
        let mut answers = Vec::new();
        loop {
            let waiting = self.store.read(|tx| self.groups.pending(tx)).unwrap();
            let Some(out) = waiting.first() else { return answers };
            let answer = log.take(self.me(), out);
            if let Answer::Seq(seq) = answer {
                let taken = self
                    .store
                    .write(|tx| self.groups.acknowledged(tx, out.conversation, out.entry, seq));
                taken.unwrap();
                answers.push((out.entry, answer));
            } else {
                answers.push((out.entry, answer));
                return answers;
            }
        }
    }

    pub(crate) fn receive(&mut self, conversation: ConversationId, entry: &LogEntry<'_>) -> Result<Vec<Received>, Error> {
        self.store.write(|tx| self.groups.receive(tx, conversation, entry))
    }

    /// Joins where it was welcomed, then takes everything that the log has.
    pub(crate) fn sync(&mut self, conversation: ConversationId, log: &Log) -> Vec<Received> {
        let known = self.store.read(|tx| self.groups.cursor(tx, conversation)).ok();
        if known.is_none() {
            let at = log.welcomed[&self.me().device];
            let epoch = log.entries[at as usize - 2].epoch.unwrap();
            let welcome = log.entries[at as usize - 1].view(at);
            self.store.write(|tx| self.groups.join(tx, conversation, &welcome, epoch)).unwrap();
        }
        let mut taken = Vec::new();
        loop {
            let cursor = self.store.read(|tx| self.groups.cursor(tx, conversation)).unwrap();
            let Some(next) = log.entries.get(cursor as usize) else {
                return taken;
            };
            taken.extend(self.receive(conversation, &next.view(cursor + 1)).unwrap());
        }
    }

    pub(crate) fn accounts(&mut self, conversation: ConversationId) -> Vec<AccountId> {
        let view = self.store.read(|tx| self.groups.view(tx, conversation)).unwrap();
        let mut accounts: Vec<_> = view.members.iter().map(|member| member.subject().account).collect();
        accounts.sort();
        accounts
    }
}

/// The texts of others in what was received.
pub(crate) fn texts(received: &[Received]) -> Vec<String> {
    let text = |received: &Received| match &received.what {
        What::Message { content, .. } => match &content.body {
            Body::Text(text) => Some(text.body.clone()),
            _ => None,
        },
        _ => None,
    };
    received.iter().filter_map(text).collect()
}

pub(crate) fn invite<'a>(device: &Device, key_package: &'a [u8]) -> Invite<'a> {
    Invite {
        account: device.me().account,
        key_package,
    }
}

/// A conversation of the first device with the others, all in and all caught up.
pub(crate) fn conversation(kind: Kind, devices: &mut [Device]) -> (ConversationId, Log) {
    let conversation = ConversationId(rand::random());
    let mut log = Log::default();
    let (first, others) = devices.split_first_mut().unwrap();
    let packages: Vec<_> = others.iter_mut().map(Device::key_package).collect();
    let invites = others
        .iter()
        .zip(&packages)
        .map(|(device, package)| invite(device, package))
        .collect();
    let made = first
        .store
        .write(|tx| first.groups.create(tx, conversation, kind, invites, ids(), NOW));
    made.unwrap();
    first.send(&mut log);
    first.sync(conversation, &log);
    first.send(&mut log);
    for device in devices {
        device.sync(conversation, &log);
    }
    (conversation, log)
}
