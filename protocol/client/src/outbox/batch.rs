//! Sending the first entries of one log over one connection.

use super::{Outgoing, Payload, Settlement};
use crate::{
    chat,
    connection::Connection,
    error::{Failure, Refused},
};
use fastchat_wire::chat::{
    append::{Append, Appended},
    commit::Commit,
};
use std::time::Duration;

/// What became of one entry of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is over.
    Settled(Settlement),
    /// Try again, not before so long.
    Later(Option<Duration>),
    /// The connection is no good any more: the outcome is unknown.
    Unknown(Failure),
}

impl Verdict {
    fn of(outcome: Result<Appended, Failure>) -> Self {
        match outcome {
            Ok(appended) => Self::Settled(Settlement::Appended(appended)),
            Err(Failure::Refused(refused)) if is_final(&refused) => Self::Settled(Settlement::Refused(refused)),
            Err(Failure::Refused(refused)) if refused.code.is_retryable() => Self::Later(refused.retry_after),
            // It can't even be written down as a request: it never will be.
            Err(Failure::Usage(what)) => Self::Settled(Settlement::Refused(Refused {
                code: fastchat_wire::Code::TooLarge,
                message: what,
                retry_after: None,
                epoch: None,
            })),
            Err(failure) => Self::Unknown(failure),
        }
    }
}

/// True where sending the same entry again changes nothing.
fn is_final(refused: &Refused) -> bool {
    !(refused.code.is_retryable() || refused.ends_the_connection())
}

/// The entries that may be under way together: a run of appends, or one commit.
pub(crate) fn cut(mut first: Vec<Outgoing>) -> Vec<Outgoing> {
    let is_commit = |outgoing: &Outgoing| matches!(outgoing.payload, Payload::Commit { .. });
    let length = match first.iter().position(is_commit) {
        Some(0) => 1,
        Some(commit) => commit,
        None => first.len(),
    };
    first.truncate(length);
    first
}

/// Sends a batch in order and says what became of each entry, in order.
pub(crate) async fn send(connection: &Connection, batch: &[Outgoing]) -> Vec<Verdict> {
    let mut started = Vec::with_capacity(batch.len());
    for outgoing in batch {
        match &outgoing.payload {
            Payload::Append { kind, epoch, block } => {
                let request = Append {
                    log: outgoing.log,
                    entry: outgoing.entry,
                    kind: kind.clone(),
                    epoch: *epoch,
                };
                started.push(chat::start_append(connection, &request, block.clone()).await);
            }
            Payload::Commit {
                welcome_entry,
                epoch,
                pieces,
            } => {
                let request = Commit {
                    conversation: outgoing.log,
                    entry: outgoing.entry,
                    welcome_entry: *welcome_entry,
                    epoch: *epoch,
                };
                return vec![Verdict::of(chat::commit(connection, &request, pieces).await)];
            }
        }
    }
    let mut verdicts = Vec::with_capacity(started.len());
    for awaited in started {
        let outcome = match awaited {
            Ok(awaited) => awaited.reply().await.map(|reply| reply.header),
            Err(failure) => Err(failure),
        };
        verdicts.push(Verdict::of(outcome));
    }
    verdicts
}
