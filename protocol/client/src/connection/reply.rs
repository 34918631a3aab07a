//! Waiting for one answer, and reading it.

use super::{Shared, pending::Answer};
use crate::{
    entry::Entry,
    error::{Failure, Refused},
};
use bytes::Bytes;
use fastchat_wire::{Frame, Kind, Request, chat::commit::CurrentEpoch};
use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::{Instant, timeout_at},
};

/// A good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<T> {
    /// Its header.
    pub header: T,
    /// Its block.
    pub block: Bytes,
    /// The block's pieces, as `parts` says.
    pub pieces: Vec<Bytes>,
    /// The entries that came before it (`fetch`).
    pub(crate) entries: Vec<Entry>,
    /// Not all of them were kept.
    pub(crate) cut: bool,
}

/// A request that was sent. Dropped, its answer is ignored.
pub struct Awaited<R> {
    shared: Arc<Shared>,
    id: u64,
    answer: oneshot::Receiver<Answer>,
    /// When waiting ends, and after how long that is.
    deadline: Instant,
    patience: Duration,
    _room: OwnedSemaphorePermit,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> Awaited<R> {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: u64,
        answer: oneshot::Receiver<Answer>,
        room: OwnedSemaphorePermit,
        patience: Duration,
    ) -> Self {
        Self {
            shared,
            id,
            answer,
            deadline: Instant::now() + patience,
            patience,
            _room: room,
            request: PhantomData,
        }
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// The peer refuses, or there is no good answer.
    pub async fn reply(mut self) -> Result<Reply<R::Response>, Failure> {
        match timeout_at(self.deadline, &mut self.answer).await {
            Ok(Ok(answer)) => read::<R>(answer),
            Ok(Err(_)) => Err(Failure::Lost(self.shared.why())),
            Err(_) => Err(Failure::TimedOut(self.patience)),
        }
    }
}

impl<R> Drop for Awaited<R> {
    fn drop(&mut self) {
        self.shared.pending.forget(self.id);
    }
}

impl<R> fmt::Debug for Awaited<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awaited").field("id", &self.id).finish_non_exhaustive()
    }
}

fn read<R: Request>(answer: Answer) -> Result<Reply<R::Response>, Failure> {
    let frame = answer.response;
    if matches!(frame.head.kind, Kind::Response { failed: true, .. }) {
        return Err(Failure::Refused(refusal(&frame)?));
    }
    let header = frame.parse().map_err(|error| Failure::Misbehaved(error.message))?;
    Ok(Reply {
        header,
        pieces: frame.pieces(),
        block: frame.block,
        entries: answer.entries,
        cut: answer.cut,
    })
}

/// What a failed response says.
pub(super) fn refusal(frame: &Frame) -> Result<Refused, Failure> {
    #[derive(serde::Deserialize)]
    struct Failed {
        error: fastchat_wire::ErrorBody,
    }
    let failed: Failed = frame.parse().map_err(|error| Failure::Misbehaved(error.message))?;
    let epoch = frame.parse::<CurrentEpoch>().ok().map(|current| current.epoch);
    Ok(Refused::new(&failed.error, epoch))
}
