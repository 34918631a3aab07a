//! Joining conversations by invitation, and reading what was missed.

use super::{enter::Attempt, members, reader, shared::Shared};
use crate::{
    Connection, chat,
    entry::Entry,
    ids::Expose,
    problem::Problem,
    profile::{
        history::Event,
        take::{self, Next},
        tasks,
    },
};
use fastchat_e2e::{ConversationId, groups::Error as GroupsError, log::KIND_COMMIT};
use fastchat_wire::Code;
use std::sync::Arc;

/// How far a conversation was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// All that there is.
    All,
    /// The server does not let this account read it.
    NotMember,
}

/// Reads all invitations that wait.
///
/// # Errors
/// The network, or the store.
pub(super) async fn all(shared: &Arc<Shared>, connection: &Connection) -> Result<(), Problem> {
    let invitations = shared.profile.run(|profile| profile.read(tasks::invitations)).await?;
    let mut passing = None;
    let mut joined = false;
    for (conversation, seq) in invitations {
        match join(shared, connection, conversation, seq).await {
            Ok(()) => joined = true,
            // The others may fare better.
            Err(problem) if problem.is_passing() => passing = Some(problem),
            Err(problem @ Problem::Store(_)) => return Err(problem),
            Err(problem) => {
                // Another one will come, or none: this one is no good.
                tracing::warn!(%conversation, seq, %problem, "an invitation can't be used");
                let is_in = members::view(shared, conversation).await?.is_some();
                answered(shared, conversation, seq, (!is_in).then(|| problem.to_string())).await?;
                if !is_in {
                    // Whoever made it has put this device into the group all the same: it takes its place by itself.
                    shared.ask(|errands| _ = errands.enter.insert(conversation, Attempt::uninvited()));
                }
            }
        }
    }
    if joined {
        // Each invitation used up a key package.
        shared.ask(|errands| errands.keep_up = true);
    }
    passing.map_or(Ok(()), Err)
}

async fn join(shared: &Arc<Shared>, connection: &Connection, conversation: ConversationId, seq: u64) -> Result<(), Problem> {
    // The commit stands right before its Welcome. Both may be large: a page may end between them.
    let mut found: Vec<Entry> = Vec::new();
    loop {
        let after = found.last().map_or(seq.saturating_sub(2), Entry::seq);
        let page = match chat::fetch(connection, conversation.wire(), after).await.map_err(Problem::from) {
            // Removed again since.
            Err(Problem::Refused(refused)) if refused.code == Code::NotMember => {
                return answered(shared, conversation, seq, None).await;
            }
            page => page?,
        };
        let goes_on = page.entries.first().is_some_and(|first| first.seq() > after);
        found.extend(page.entries.into_iter().filter(|entry| entry.seq() <= seq));
        if !(page.more && goes_on) || found.last().is_some_and(|last| last.seq() >= seq) {
            break;
        }
    }
    let find = |seq: u64| found.iter().find(|entry| entry.seq() == seq).cloned();
    let commit = find(seq.saturating_sub(1)).filter(|entry| entry.head.kind == KIND_COMMIT);
    let Some(welcome) = find(seq) else {
        // Removed and added again since: there is a later invitation.
        return answered(shared, conversation, seq, None).await;
    };
    let Some(epoch) = commit.and_then(|commit| commit.head.epoch) else {
        return Err(Problem::declined(
            "not-found",
            "the invitation's change is not in the conversation's log; ask to be added again",
        ));
    };
    shared
        .profile
        .run(move |profile| {
            profile.change(|groups, tx| {
                // Another process of this profile may have been faster.
                if tasks::answered(tx, conversation, seq)? {
                    take::join(groups, tx, &welcome, epoch)?;
                }
                Ok(())
            })
        })
        .await?;
    shared.handle.wake();
    // What the session has handed out before is read again from here. Not here and now: a loss would forget it.
    shared.ask(|errands| {
        errands.behind.insert(conversation);
        (errands.acquaint, errands.wishes) = (true, true);
    });
    Ok(())
}

async fn answered(shared: &Arc<Shared>, conversation: ConversationId, seq: u64, cause: Option<String>) -> Result<(), Problem> {
    let answered = shared.profile.run(move |profile| {
        profile.change(|groups, tx| {
            if let (true, Some(cause)) = (tasks::answered(tx, conversation, seq)?, cause) {
                let cause = format!("an invitation to this conversation can't be used: {cause}. This device tries to come in by itself");
                take::add_own(groups, tx, conversation, crate::clock::now_ms(), Event::Unreadable(cause))?;
            }
            Ok(())
        })
    });
    answered.await
}

/// Fetches from the cursor on until there is nothing more, or nothing that this account may read.
///
/// # Errors
/// The network, or the store.
pub(super) async fn catch_up(shared: &Arc<Shared>, connection: &Connection, conversation: ConversationId) -> Result<Read, Problem> {
    loop {
        let cursor = shared.profile.run(move |profile| {
            profile.look(|groups, tx| match groups.cursor(tx, conversation) {
                Ok(seq) => Ok(Some(seq)),
                Err(GroupsError::Unknown(_)) => Ok(None),
                Err(error) => Err(error.into()),
            })
        });
        let Some(cursor) = cursor.await? else { return Ok(Read::All) };
        let page = match chat::fetch(connection, conversation.wire(), cursor).await.map_err(Problem::from) {
            Err(Problem::Refused(refused)) if refused.code == Code::NotMember => {
                return Ok(Read::NotMember);
            }
            page => page?,
        };
        let more = page.more;
        let entries: Vec<Entry> = page.entries;
        if entries.first().is_none_or(|first| first.seq() != cursor + 1) {
            return Ok(Read::All);
        }
        let next: Vec<Next> = shared
            .profile
            .run(move |profile| profile.change(|groups, tx| entries.iter().map(|entry| take::take(groups, tx, entry)).collect()))
            .await?;
        reader::follow_up(shared, next).await?;
        if !more {
            return Ok(Read::All);
        }
    }
}

/// Lets the server forget the notices that were taken.
///
/// # Errors
/// The network, or the store.
pub(super) async fn trim_inbox(shared: &Arc<Shared>, connection: &Connection) -> Result<(), Problem> {
    let found = shared.profile.run(|profile| {
        profile.look(|groups, tx| {
            let inbox = ConversationId(groups.me().device.0);
            let waiting = !tasks::invitations(tx)?.is_empty();
            let cursor = tasks::cursors(tx)?.into_iter().find(|(log, _)| *log == inbox);
            Ok(cursor.filter(|_| !waiting))
        })
    });
    if let Some((inbox, through)) = found.await? {
        chat::trim(connection, inbox.wire(), through).await?;
    }
    Ok(())
}
