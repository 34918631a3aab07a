//! Profiles in temporary folders, and a server's log that is carried between them by hand.

use crate::{
    Entry,
    error::Refused,
    ids::{Expose, Seal, new_entry},
    outbox::{Outbox, Outgoing, Payload, Settlement},
    problem::Problem,
    profile::{Profile, identity, rooms, take},
    record::{Record, What},
};
use bytes::Bytes;
use fastchat_e2e::{
    AccountId, BackupPublicKey, Content, ConversationId, Credential, DeviceId, DeviceKey, EntryId, IdentityKey,
    archive::{Batch, seal_batch},
    content::Body,
    groups::CommitIds,
    log::{KIND_COMMIT, KIND_MEMBER, KIND_WELCOME},
    mls::{Intent, Invite, Kind},
    secret::SigningSeed,
    store::{Reader, Scan, Table},
};
use fastchat_wire::{
    Code,
    chat::{
        append::Appended,
        entry::{Change, EntryEvent, MemberChange, MemberChanges},
    },
};
use std::{collections::BTreeMap, time::Duration};
use tempfile::TempDir;

const NOW: Duration = Duration::from_secs(1_800_000_000);

/// A device with its profile.
pub(super) struct Device {
    folder: TempDir,
    pub(super) profile: Profile,
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
    pub(super) vouching: SigningSeed,
    pub(super) name: String,
}

pub(super) fn ids() -> CommitIds {
    CommitIds {
        commit: new_entry(),
        welcome: new_entry(),
        announcement: new_entry(),
    }
}

pub(super) fn text(body: &str) -> Content {
    Content {
        id: new_entry(),
        at_ms: 1,
        body: Body::text(body),
    }
}

impl Device {
    pub(super) fn new(name: &str) -> Self {
        Self::of(name, AccountId(rand::random()))
    }

    /// A device with an identity of its own, whoever's the account is.
    pub(super) fn of(name: &str, account: AccountId) -> Self {
        Self::vouched_for(name, account, SigningSeed::random(&mut rand::rng()))
    }

    /// Another device of the same account, with a profile of its own.
    pub(super) fn another_device(&self) -> Self {
        Self::vouched_for(&self.name, self.account, self.vouching.clone())
    }

    fn vouched_for(name: &str, account: AccountId, vouching: SigningSeed) -> Self {
        let folder = TempDir::new().unwrap();
        let profile = Profile::create(folder.path()).unwrap();
        let device = DeviceId(rand::random());
        let key = DeviceKey::random(&mut rand::rng());
        let identity_key = IdentityKey::from_seed(&vouching);
        let credential = Credential::issue(&identity_key, account, name.parse().unwrap(), device, key.public(), 1);
        profile.write(|tx| identity::save(tx, &credential, &key, None)).unwrap();
        Self {
            folder,
            profile,
            account,
            device,
            vouching,
            name: name.to_owned(),
        }
    }

    /// The same profile, as another process has it.
    pub(super) fn another_process(&self) -> Profile {
        Profile::open(self.folder.path()).unwrap()
    }

    /// What a device writes that keeps none of the rules: with its own key, and this in it.
    pub(super) fn seals<'a>(&self, backup: &BackupPublicKey, batch: impl FnOnce(Vec<u8>) -> Batch<'a>) -> Vec<u8> {
        let of = |tx: &Reader<'_>| Ok((identity::credential(tx)?.unwrap(), identity::device_key(tx)?.unwrap()));
        let (credential, key) = self.profile.read(of).unwrap();
        let batch = batch(credential.as_bytes().to_vec());
        seal_batch(self.account, &key, backup, &batch, &mut rand::rng()).unwrap()
    }

    pub(super) fn key_package(&self) -> Vec<u8> {
        let made = self.profile.change(|groups, tx| Ok(groups.make_key_packages(tx, 1, false, NOW)?));
        made.unwrap().remove(0)
    }

    /// Founds a conversation, as a wish does.
    pub(super) fn found(&self, conversation: ConversationId, kind: Kind, with: &[&Device]) -> EntryId {
        let packages: Vec<_> = with.iter().map(|device| (device.account, device.key_package())).collect();
        let ids = ids();
        let peer = with.first().map(|device| device.account).filter(|_| kind == Kind::Direct);
        self.profile
            .change(|groups, tx| {
                rooms::enter(tx, conversation, peer)?;
                rooms::save_admins(tx, conversation, &[])?;
                groups.create(tx, conversation, kind, invites(&packages), ids, NOW)?;
                Ok(())
            })
            .unwrap();
        ids.commit
    }

    pub(super) fn add(&self, conversation: ConversationId, who: &Device) {
        let package = [(who.account, who.key_package())];
        self.commit(conversation, &Intent::Add(invites(&package)));
    }

    pub(super) fn commit(&self, conversation: ConversationId, intent: &Intent<'_>) {
        let made = self
            .profile
            .change(|groups, tx| Ok(groups.commit(tx, conversation, intent, ids(), NOW)?));
        made.unwrap();
    }

    pub(super) fn say(&self, conversation: ConversationId, body: &str) -> EntryId {
        self.tell(conversation, Body::text(body))
    }

    /// Says something that nobody here has checked, as a lawless client does.
    pub(super) fn tell(&self, conversation: ConversationId, body: Body) -> EntryId {
        let content = Content { body, ..text("") };
        self.profile
            .change(|groups, tx| Ok(groups.seal(tx, conversation, &content)?))
            .unwrap();
        content.id
    }

    /// Everything that its store holds in one table, opened.
    pub(super) fn holds(&self, table: Table, words: &str) -> bool {
        let rows = self.profile.read(|tx| Ok(tx.list(table, Scan::prefix(&[]))?)).unwrap();
        let words = words.as_bytes();
        rows.iter()
            .any(|(_, row)| row.expose().windows(words.len()).any(|part| part == words))
    }

    /// Takes what the log has, as reader and steward do.
    pub(super) fn read(&self, log: &Log) {
        read(&self.profile, self.device, log);
    }

    /// All records, in the order of arrival.
    pub(super) fn records(&self) -> Vec<Record> {
        self.profile.arrived_after(0, 1_000).unwrap()
    }

    /// The texts that this device knows, in the order of their log.
    pub(super) fn texts(&self, conversation: ConversationId) -> Vec<String> {
        let records = self.profile.history(conversation, 1_000).unwrap();
        records.into_iter().filter_map(said).collect()
    }
}

pub(super) fn said(record: Record) -> Option<String> {
    match record.what {
        What::Message(content) => match content.body {
            Body::Text(text) => Some(text.body),
            _ => None,
        },
        _ => None,
    }
}

fn invites(packages: &[(AccountId, Vec<u8>)]) -> Vec<Invite<'_>> {
    packages
        .iter()
        .map(|(account, key_package)| Invite {
            account: *account,
            key_package,
        })
        .collect()
}

/// The same with any of a device's processes.
pub(super) fn read(profile: &Profile, device: DeviceId, log: &Log) {
    let cursor = |profile: &Profile| profile.look(|groups, tx| Ok(groups.cursor(tx, log.id).ok())).unwrap();
    let epoch = |profile: &Profile| profile.look(|groups, tx| Ok(groups.mls_epoch(tx, log.id).ok())).unwrap();
    if let (None | Some(0), Some(at)) = (epoch(profile), log.welcomed.get(&device)) {
        let welcome = log.entries[usize::try_from(*at).unwrap() - 1].clone();
        let commit_epoch = log.entries[usize::try_from(*at).unwrap() - 2].head.epoch.unwrap();
        profile.change(|groups, tx| take::join(groups, tx, &welcome, commit_epoch)).unwrap();
    }
    // Many in a transaction, as the reader does.
    while let Some(after) = cursor(profile).map(|cursor| usize::try_from(cursor).unwrap())
        && after < log.entries.len()
    {
        let batch = log.entries[after..].iter().take(64);
        profile
            .change(|groups, tx| batch.map(|entry| take::take(groups, tx, entry)).collect::<Result<Vec<_>, _>>())
            .unwrap();
    }
}

/// A conversation's log, as the server keeps it.
pub(super) struct Log {
    pub(super) id: ConversationId,
    pub(super) entries: Vec<Entry>,
    epoch: u64,
    /// Per device: the number of its Welcome.
    welcomed: BTreeMap<DeviceId, u64>,
}

impl Log {
    /// As after `create`: its first entry says who is in.
    pub(super) fn new() -> Self {
        Self::of(ConversationId(new_entry().0))
    }

    /// The same as another server shows it.
    pub(super) fn of(id: ConversationId) -> Self {
        let mut log = Self {
            id,
            entries: Vec::new(),
            epoch: 0,
            welcomed: BTreeMap::new(),
        };
        log.members(&[]);
        log
    }

    pub(super) fn members(&mut self, changes: &[(AccountId, Change)]) {
        let changes = changes.iter().map(|(account, change)| MemberChange {
            account: account.wire(),
            change: *change,
            role: None,
        });
        let block = serde_json::to_vec(&MemberChanges {
            changes: changes.collect(),
        });
        self.push(new_entry(), KIND_MEMBER, None, None, block.unwrap().into());
    }

    fn push(&mut self, entry: EntryId, kind: &str, from: Option<&Device>, epoch: Option<u64>, block: Bytes) -> Appended {
        let seq = self.entries.len() as u64 + 1;
        let head = EntryEvent {
            log: self.id.wire(),
            seq,
            at: seq * 1_000,
            kind: kind.to_owned(),
            entry: entry.wire(),
            from: from.map(|device| device.account.wire()),
            device: from.map(|device| device.device.wire()),
            epoch,
            block_sha256: None,
        };
        self.entries.push(Entry { head, block });
        Appended {
            seq,
            at: seq * 1_000,
            duplicate: false,
        }
    }

    /// What the server answers.
    pub(super) fn answer(&mut self, from: &Device, outgoing: &Outgoing) -> Settlement {
        let is_same = |entry: &&Entry| entry.head.entry == outgoing.entry && entry.head.device == Some(from.device.wire());
        if let Some(known) = self.entries.iter().find(is_same) {
            return Settlement::Appended(Appended {
                seq: known.seq(),
                at: known.head.at,
                duplicate: true,
            });
        }
        let entry = outgoing.entry.sealed();
        match &outgoing.payload {
            Payload::Append { epoch: Some(epoch), .. } | Payload::Commit { epoch, .. } if *epoch != self.epoch => {
                Settlement::Refused(Refused {
                    code: Code::EpochConflict,
                    message: "the conversation moved on".to_owned(),
                    retry_after: None,
                    epoch: Some(self.epoch),
                })
            }
            Payload::Append { kind, block, .. } => Settlement::Appended(self.push(entry, kind, Some(from), None, block.clone())),
            Payload::Commit { welcome_entry, pieces, .. } => {
                let appended = self.push(entry, KIND_COMMIT, Some(from), Some(self.epoch), pieces.commit.clone());
                if let Some(welcome) = welcome_entry {
                    let at = self
                        .push(welcome.sealed(), KIND_WELCOME, Some(from), None, pieces.welcome.clone())
                        .seq;
                    let to = pieces.lists.welcome_to.iter().map(|device| (device.sealed(), at));
                    self.welcomed.extend(to);
                }
                self.epoch += 1;
                Settlement::Appended(appended)
            }
        }
    }

    /// What waits first, and the server's answers to it, which have not come back yet.
    pub(super) fn answers(&mut self, from: &Device) -> Vec<(fastchat_wire::EntryId, Settlement)> {
        let first = crate::outbox::cut(from.profile.first(self.id.wire(), 64, 1 << 20).unwrap());
        first.iter().map(|outgoing| (outgoing.entry, self.answer(from, outgoing))).collect()
    }

    /// Sends all that waits and can be sent, reading as it goes.
    pub(super) fn send(&mut self, from: &Device) {
        loop {
            let answers = self.answers(from);
            if answers.is_empty() {
                return;
            }
            from.profile.settle(&answers).unwrap();
            from.read(self);
        }
    }
}

/// What is waiting in a device's outbox.
pub(super) fn waiting(device: &Device) -> Vec<EntryId> {
    let pending = device.profile.look(|groups, tx| Ok(groups.pending(tx)?)).unwrap();
    pending.into_iter().map(|row| row.entry).collect()
}

/// A refusal's code.
pub(super) fn code<T: std::fmt::Debug>(refused: Result<T, Problem>) -> String {
    refused.unwrap_err().code().to_owned()
}
