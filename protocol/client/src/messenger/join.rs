//! Joining conversations by invitation, and reading what was missed.

use super::{members, shared::Shared};
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

/// Reads all invitations that wait.
///
/// # Errors
/// The network, or the store.
pub(super) async fn all(shared: &Arc<Shared>, connection: &Connection) -> Result<(), Problem> {
    let invitations = shared.profile.run(|profile| profile.read(tasks::invitations)).await?;
    for (conversation, seq) in invitations {
        match join(shared, connection, conversation, seq).await {
            Ok(()) => {}
            Err(problem) if problem.is_passing() || matches!(problem, Problem::Store(_)) => return Err(problem),
            Err(problem) => {
                // Another one will come, or none: this one is no good.
                tracing::warn!(%conversation, seq, %problem, "an invitation can't be used");
                let is_in = members::view(shared, conversation).await?.is_some();
                answered(shared, conversation, seq, (!is_in).then(|| problem.to_string())).await?;
            }
        }
    }
    Ok(())
}

async fn join(shared: &Arc<Shared>, connection: &Connection, conversation: ConversationId, seq: u64) -> Result<(), Problem> {
    // The commit stands right before its Welcome.
    let page = match chat::fetch(connection, conversation.wire(), seq.saturating_sub(2))
        .await
        .map_err(Problem::from)
    {
        // Removed again since.
        Err(Problem::Refused(refused)) if refused.code == Code::NotMember => {
            return answered(shared, conversation, seq, None).await;
        }
        page => page?,
    };
    let find = |seq: u64| page.entries.iter().find(|entry| entry.seq() == seq).cloned();
    // A member from the Welcome on does not see the commit: its epoch is the Welcome's own.
    let commit = find(seq.saturating_sub(1)).filter(|entry| entry.head.kind == KIND_COMMIT);
    let Some(welcome) = find(seq) else {
        // Removed and added again since: there is a later invitation.
        return answered(shared, conversation, seq, None).await;
    };
    let Some(epoch) = commit.and_then(|commit| commit.head.epoch).or(welcome.head.epoch) else {
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
    catch_up(shared, connection, conversation).await?;
    shared.handle.wake();
    shared.ask(|errands| errands.wishes = true);
    Ok(())
}

async fn answered(shared: &Arc<Shared>, conversation: ConversationId, seq: u64, cause: Option<String>) -> Result<(), Problem> {
    let answered = shared.profile.run(move |profile| {
        profile.change(|groups, tx| {
            if let (true, Some(cause)) = (tasks::answered(tx, conversation, seq)?, cause) {
                let cause = format!("an invitation to this conversation can't be used: {cause}");
                take::add_own(groups, tx, conversation, crate::clock::now_ms(), Event::Unreadable(cause))?;
            }
            Ok(())
        })
    });
    answered.await
}

/// Fetches from the cursor on until there is nothing more.
///
/// # Errors
/// The network, or the store.
pub(super) async fn catch_up(shared: &Arc<Shared>, connection: &Connection, conversation: ConversationId) -> Result<(), Problem> {
    loop {
        let cursor = shared.profile.run(move |profile| {
            profile.look(|groups, tx| match groups.cursor(tx, conversation) {
                Ok(seq) => Ok(Some(seq)),
                Err(GroupsError::Unknown(_)) => Ok(None),
                Err(error) => Err(error.into()),
            })
        });
        let Some(cursor) = cursor.await? else { return Ok(()) };
        let page = match chat::fetch(connection, conversation.wire(), cursor).await.map_err(Problem::from) {
            Err(Problem::Refused(refused)) if refused.code == Code::NotMember => {
                shared.ask(|errands| errands.verify.extend([conversation]));
                return Ok(());
            }
            page => page?,
        };
        let more = page.more;
        let entries: Vec<Entry> = page.entries;
        if entries.first().is_none_or(|first| first.seq() != cursor + 1) {
            return Ok(());
        }
        let next: Vec<Next> = shared
            .profile
            .run(move |profile| profile.change(|groups, tx| entries.iter().map(|entry| take::take(groups, tx, entry)).collect()))
            .await?;
        if next.contains(&Next::Moved) {
            shared.handle.wake();
            shared.ask(|errands| errands.wishes = true);
        }
        if !more {
            return Ok(());
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
