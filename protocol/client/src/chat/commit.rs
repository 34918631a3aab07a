//! `commit`: an MLS commit with what follows from it, atomically.

use crate::{Connection, Failure};
use bytes::Bytes;
use fastchat_wire::{
    Block,
    chat::{
        append::Appended,
        commit::{Commit, CommitLists},
    },
};

/// The pieces of a commit's block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitPieces {
    /// Who comes, who goes, who is welcomed.
    pub lists: CommitLists,
    /// The MLS commit.
    pub commit: Bytes,
    /// The MLS Welcome; empty where nobody is welcomed.
    pub welcome: Bytes,
    /// The MLS GroupInfo after the commit.
    pub group_info: Bytes,
}

/// Commits and waits. Where the outcome is unknown: commit the same entry again.
///
/// # Errors
/// `epoch-conflict` with the current epoch, `not-member`, `forbidden`, `bad-request`.
pub async fn commit(connection: &Connection, request: &Commit, pieces: &CommitPieces) -> Result<Appended, Failure> {
    let lists = Block::json(&pieces.lists).bytes;
    let block = Block::pieces(&[&lists, &pieces.commit, &pieces.welcome, &pieces.group_info]);
    Ok(connection.request(request, &block).await?.header)
}
