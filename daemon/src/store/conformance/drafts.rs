//! Things to write and ways to look at what was written, for the logs' tests.

use super::people::Person;
use crate::store::{
    Denied, Store, StoreError,
    logs::{Actor, Append, Appended, Commit, Committed, Entry, Page, Written},
};
use bytes::Bytes;
use fastchat_wire::{AccountId, DeviceId, LogId};
use std::sync::Arc;
use uuid::Uuid;

/// When everything happens.
pub(crate) const NOW: u64 = 1_800_000_000_000;

/// A new entry of a person's.
pub(crate) fn append(person: &Person, log: LogId, text: &str) -> Append {
    Append {
        log,
        entry: Uuid::now_v7().into(),
        kind: Arc::from("app"),
        account: person.account,
        device: person.device,
        epoch: None,
        at: NOW,
        block: Bytes::copy_from_slice(text.as_bytes()),
    }
}

/// Appends one entry.
pub(crate) async fn append_one(store: &Arc<dyn Store>, append: Append) -> Result<Appended, Denied> {
    let mut answers = store.append(&[append]).await.unwrap();
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

/// Appends so many entries; answers the last one's number.
pub(crate) async fn append_many(store: &Arc<dyn Store>, person: &Person, log: LogId, count: usize) -> u64 {
    let batch: Vec<_> = (0..count).map(|n| append(person, log, &format!("message {n}"))).collect();
    let answers = store.append(&batch).await.unwrap();
    answers.into_iter().map(|answer| answer.unwrap().seq).max().unwrap()
}

/// A commit without accounts, devices or Welcome.
pub(crate) fn commit(person: &Person, conversation: LogId, epoch: u64) -> Commit {
    Commit {
        conversation,
        actor: person.actor(),
        entry: Uuid::now_v7().into(),
        welcome_entry: None,
        epoch,
        add: Vec::new(),
        remove: Vec::new(),
        welcome_to: Vec::new(),
        commit: Bytes::from("commit"),
        welcome: Bytes::new(),
        group_info: Bytes::from(format!("group info of {}", epoch + 1)),
        server_entries: (0..8).map(|_| Uuid::now_v7().into()).collect(),
        at: NOW,
    }
}

/// A commit that changes accounts.
pub(crate) fn commit_accounts(person: &Person, conversation: LogId, epoch: u64, add: &[&Person], remove: &[&Person]) -> Commit {
    let accounts = |people: &[&Person]| -> Vec<AccountId> { people.iter().map(|person| person.account).collect() };
    Commit {
        add: accounts(add),
        remove: accounts(remove),
        ..commit(person, conversation, epoch)
    }
}

/// A commit that welcomes devices.
pub(crate) fn commit_welcome(person: &Person, conversation: LogId, epoch: u64, add: &[&Person], devices: &[DeviceId]) -> Commit {
    Commit {
        welcome_entry: Some(Uuid::now_v7().into()),
        welcome: Bytes::from("welcome"),
        welcome_to: devices.to_vec(),
        ..commit_accounts(person, conversation, epoch, add, &[])
    }
}

/// Everything that a reader may have, and its bounds.
pub(crate) async fn read_all(store: &Arc<dyn Store>, log: LogId, reader: Actor) -> Page {
    store.fetch(log, reader, 0, u32::MAX, usize::MAX).await.unwrap()
}

/// The numbers of entries.
pub(crate) fn seqs(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq).collect()
}

/// Kinds and numbers of what was written.
pub(crate) fn kinds(written: &[Written]) -> Vec<(&str, u64)> {
    written.iter().map(|written| (&*written.entry.kind, written.entry.seq)).collect()
}

/// The refusal that was expected.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Denied {
    match result {
        Err(StoreError::Denied(denied)) => denied,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Commits.
pub(crate) async fn committed(store: &Arc<dyn Store>, commit: Commit) -> Committed {
    store.commit(commit).await.unwrap()
}
