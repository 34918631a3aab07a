//! `append`: checks what no state would allow, and queues it for the next commit.

use super::{Call, Refusal};
use crate::{
    server::{
        Server,
        appender::{AppendJob, Source},
        context::{Identity, now_ms},
    },
    store::{logs::Append, rules},
};
use fastchat_wire::{EntryId, LogId, chat::append};
use std::sync::Arc;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

/// Queues the append; the appender answers it. A refusal here counts for the
/// order of the log's appends like one of the store's. One that the sender's rates don't
/// allow is queued as well, to be refused in its turn.
pub(crate) async fn start(
    server: &Server,
    identity: &Identity,
    call: &Call,
    source: &Arc<Source>,
    room: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
    refused: Option<Refusal>,
) -> Result<(), Refusal> {
    let arguments: append::Append = call.arguments()?;
    rules::check_kind(&arguments.kind)?;
    let (log, entry): (LogId, EntryId) = (arguments.log, arguments.entry);
    let turn = server
        .appender
        .turn(log)
        .await
        .inspect_err(|refusal| source.gate.refused(log, entry, refusal))?;
    let append = Append {
        log,
        entry,
        kind: arguments.kind.into(),
        account: identity.account,
        device: identity.device,
        epoch: arguments.epoch,
        at: now_ms(),
        block: call.frame.block.clone(),
    };
    turn.take(AppendJob {
        append,
        id: call.id,
        source: Arc::clone(source),
        received: Instant::now(),
        room,
        refused: refused.map(Box::new),
    });
    Ok(())
}
