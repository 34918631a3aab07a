//! `commit`: an MLS commit with what follows from it.

use super::{Call, Handled, Refusal};
use crate::{
    server::{
        Server,
        context::{Identity, now_ms},
        hub::ConnectionId,
    },
    store::logs::Commit,
};
use bytes::Bytes;
use fastchat_wire::{
    Block, EntryId,
    chat::{
        append::Appended,
        commit::{self, CommitLists},
    },
    limits::COMMIT_ACCOUNTS_MAX,
};
use uuid::Uuid;

/// Commits it, after the appends that this connection sent before.
pub(crate) async fn handle(server: &Server, identity: &Identity, call: &Call, connection: ConnectionId) -> Handled {
    let arguments: commit::Commit = call.arguments()?;
    let pieces: [Bytes; 4] = call
        .frame
        .pieces()
        .try_into()
        .map_err(|_| Refusal::bad_request("the block has four parts: lists, commit, Welcome (may be empty), group info"))?;
    let [lists, commit, welcome, group_info] = pieces;
    let lists: CommitLists =
        serde_json::from_slice(&lists).map_err(|e| Refusal::bad_request(format!("the lists are not what they should be: {e}")))?;
    if lists.add.len() + lists.remove.len() > COMMIT_ACCOUNTS_MAX || lists.welcome_to.len() > COMMIT_ACCOUNTS_MAX {
        return Err(Refusal::bad_request(format!(
            "more than {COMMIT_ACCOUNTS_MAX} accounts, or devices to welcome: commit the others next"
        )));
    }
    if commit.is_empty() {
        return Err(Refusal::bad_request("the commit is empty"));
    }
    if welcome.is_empty() != arguments.welcome_entry.is_none() {
        return Err(Refusal::bad_request("welcome-entry is given exactly where there is a Welcome"));
    }
    if welcome.is_empty() && !lists.welcome_to.is_empty() {
        return Err(Refusal::bad_request("welcome-to names devices, but there is no Welcome"));
    }
    let server_entries = (0..=lists.welcome_to.len()).map(|_| EntryId::from(Uuid::now_v7())).collect();
    let commit = Commit {
        conversation: arguments.conversation,
        actor: identity.actor(),
        entry: arguments.entry,
        welcome_entry: arguments.welcome_entry,
        epoch: arguments.epoch,
        add: lists.add,
        remove: lists.remove,
        welcome_to: lists.welcome_to,
        commit,
        welcome,
        group_info,
        server_entries,
        at: now_ms(),
    };
    let appended = server.appender.commit(commit, connection).await?.appended;
    call.answer(
        &Appended {
            seq: appended.seq,
            at: appended.at,
            duplicate: appended.duplicate,
        },
        &Block::none(),
    )
}
