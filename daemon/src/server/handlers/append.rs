//! `append`: checks what no state would allow, and queues it for the next commit.

use super::{Call, Refusal};
use crate::{
    server::{
        Server,
        appender::{AppendJob, Source},
        context::{Identity, now_ms},
    },
    store::logs::Append,
};
use fastchat_wire::{
    EntryId, LogId,
    chat::{append, server_kind},
    limits::KIND_BYTES_MAX,
};
use std::sync::Arc;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

/// Queues the append; the appender answers it. A refusal here counts for the
/// order of the log's appends like one of the store's.
pub(crate) async fn start(
    server: &Server,
    identity: &Identity,
    call: &Call,
    source: &Arc<Source>,
    room: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
) -> Result<(), Refusal> {
    let arguments: append::Append = call.arguments()?;
    check_kind(&arguments.kind)?;
    let (log, entry): (LogId, EntryId) = (arguments.log, arguments.entry);
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
    let job = AppendJob {
        append,
        id: call.id,
        source: Arc::clone(source),
        received: Instant::now(),
        room,
    };
    let queued = server.appender.append(job).await;
    if let Err(refusal) = &queued {
        source.gate.refused(log, entry, refusal);
    }
    queued
}

fn check_kind(kind: &str) -> Result<(), Refusal> {
    let shape = !kind.is_empty() && kind.len() <= KIND_BYTES_MAX && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    if !shape {
        return Err(Refusal::bad_request(format!("kind is 1 to {KIND_BYTES_MAX} of a-z and -")));
    }
    let reserved = [
        server_kind::COMMIT,
        server_kind::WELCOME,
        server_kind::MEMBER,
        server_kind::WELCOMED,
    ];
    if reserved.contains(&kind) {
        return Err(Refusal::bad_request(format!("only the server writes entries of kind {kind}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_short_tokens_that_the_server_does_not_write_itself() {
        assert_eq!(check_kind("app"), Ok(()));
        assert_eq!(check_kind(&"a".repeat(KIND_BYTES_MAX)), Ok(()));
        for bad in [
            "",
            "App",
            "a1",
            "a b",
            "commit",
            "welcome",
            "member",
            "welcomed",
            &"a".repeat(KIND_BYTES_MAX + 1),
        ] {
            assert!(check_kind(bad).is_err(), "{bad}");
        }
    }
}
