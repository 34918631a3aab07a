//! Denials on their way into the audit log: a bounded queue and one writer.
//!
//! Whoever has no token must not be able to fill the disk or stall the database:
//! the writer takes what has gathered as one transaction and folds alike ones
//! into one row with a count; what the queue can't hold is counted in a row, too.

use crate::audit::Record;
use crate::store::ControlStore;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::{mpsc, oneshot};

const QUEUE_MAX: usize = 1_024;

/// Where denials go.
#[derive(Clone)]
pub(crate) struct Denials {
    queue: mpsc::Sender<Message>,
    overflown: Arc<AtomicU64>,
}

enum Message {
    Denied(Box<Record>),
    Flush(oneshot::Sender<()>),
}

/// The other end of [`Denials`].
pub(crate) struct DenialWriter {
    queue: mpsc::Receiver<Message>,
    overflown: Arc<AtomicU64>,
}

impl Denials {
    /// Both ends.
    pub(crate) fn new() -> (Self, DenialWriter) {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let overflown = Arc::new(AtomicU64::new(0));
        (
            Self {
                queue: sender,
                overflown: overflown.clone(),
            },
            DenialWriter {
                queue: receiver,
                overflown,
            },
        )
    }

    /// Takes one, without waiting.
    pub(crate) fn record(&self, record: Record) {
        if self.queue.try_send(Message::Denied(Box::new(record))).is_err() {
            self.overflown.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all of before are written.
    pub(crate) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            // The writer drops `done` only when it ends.
            let _ = wait.await;
        }
    }
}

impl DenialWriter {
    /// Writes until the last [`Denials`] is dropped.
    pub(crate) async fn run(mut self, store: Arc<dyn ControlStore>) {
        let mut messages = Vec::new();
        while self.queue.recv_many(&mut messages, QUEUE_MAX).await > 0 {
            let mut records = Vec::new();
            let mut waiting = Vec::new();
            for message in messages.drain(..) {
                match message {
                    Message::Denied(record) => fold(&mut records, *record),
                    Message::Flush(done) => waiting.push(done),
                }
            }
            if let Some(last) = records.last_mut() {
                last.count += self.overflown.swap(0, Ordering::Relaxed);
            }
            if !records.is_empty()
                && let Err(error) = store.append_audit(&records).await
            {
                tracing::error!(%error, denials = records.len(), "denials could not be written to the audit log");
            }
            for done in waiting {
                // Nobody need wait any more.
                let _ = done.send(());
            }
        }
    }
}

fn fold(records: &mut Vec<Record>, record: Record) {
    match records.iter_mut().find(|known| known.is_like(&record)) {
        Some(known) => known.count += record.count,
        None => records.push(record),
    }
}
