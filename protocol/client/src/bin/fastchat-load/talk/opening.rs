//! Before the load: members sign in, create their conversation, and read how far its log is.

use crate::{book::Account, enter::Entrance, line::Line, trouble::Trouble};
use fastchat_wire::{
    AccountId, Block, LogId,
    chat::{
        commit::{Commit, CommitLists},
        create::{ConversationKind, Create},
        fetch::Fetch,
    },
    limits::{COMMIT_ACCOUNTS_MAX, CREATE_MEMBERS_MAX, INTEGER_MAX},
};
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

/// Members that sign in at once.
const AT_ONCE: usize = 16;

/// Members of a conversation: those that a `create` may name, and those that a `commit` may add.
pub(crate) const MEMBERS_MAX: usize = 1 + CREATE_MEMBERS_MAX + COMMIT_ACCOUNTS_MAX;

/// A conversation whose members are signed in.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) log: LogId,
    /// The log's last entry.
    pub(crate) last_seq: u64,
    /// One for each member.
    pub(crate) lines: Vec<Line>,
}

/// Signs the members in and creates their conversation (a direct one of a run before is used again).
///
/// # Errors
/// The fleet refuses.
pub(crate) async fn open(
    entrance: &Entrance,
    members: &mut [Account],
    kind: ConversationKind,
    seat_of: impl Fn(usize) -> usize,
) -> Result<Opened, Trouble> {
    if members.len() > MEMBERS_MAX {
        return Err(Trouble::Usage(format!("a conversation begins with at most {MEMBERS_MAX} members")));
    }
    let mut first: Vec<AccountId> = members.iter().skip(1).map(|member| member.account).collect();
    let more = first.split_off(first.len().min(CREATE_MEMBERS_MAX));
    let seats = members.iter_mut().enumerate().map(|(i, member)| (seat_of(i), member));
    let mut lines: Vec<Line> = stream::iter(seats)
        .map(|(seat, member)| async move { entrance.patiently(async || entrance.sign_in(seat, member, None).await).await })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let create = Create {
        conversation: Uuid::now_v7().into(),
        kind,
        members: first,
    };
    let log = lines[0].ask(&entrance.pool, &create, &Block::none()).await?.conversation;
    if !more.is_empty() {
        add(entrance, &mut lines[0], log, more).await?;
    }
    let mut last_seq = 0;
    for line in &mut lines {
        // The answer says that every server knows of the session: from here on nothing is missed.
        let fetch = Fetch {
            log,
            after: INTEGER_MAX - 1,
            limit: Some(1),
        };
        last_seq = line.ask(&entrance.pool, &fetch, &Block::none()).await?.last_seq;
    }
    Ok(Opened { log, last_seq, lines })
}

/// Adds members beyond those that a `create` names.
async fn add(entrance: &Entrance, creator: &mut Line, log: LogId, members: Vec<AccountId>) -> Result<(), Trouble> {
    let commit = Commit {
        conversation: log,
        entry: Uuid::now_v7().into(),
        welcome_entry: None,
        epoch: 0,
    };
    let lists = CommitLists {
        add: members,
        ..CommitLists::default()
    };
    let lists = Block::json(&lists).bytes;
    // Servers are blind: they take any bytes for the commit.
    let nothing: &[u8] = &[0];
    let block = Block::pieces(&[&lists, nothing, &[], nothing]);
    creator.ask(&entrance.pool, &commit, &block).await?;
    Ok(())
}
