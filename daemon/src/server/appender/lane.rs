//! One lane: whatever gathered during the last transaction is the next one.

use super::job::{AppendJob, Job, Write};
use crate::{
    server::{
        delivery::{Delivery, Origin},
        feed::Doorbell,
        handlers::Refusal,
        hub::ConnectionId,
        metrics::ServerMetrics,
    },
    store::{
        self, Store,
        logs::{Append, Appended, Committed, Entry, Written},
    },
};
use fastchat_wire::{Block, LogId, chat::append::Appended as Response, encode_response};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Entries of one transaction.
const BATCH_ENTRIES_MAX: usize = 512;
/// Block bytes of one transaction (and one entry at least).
const BATCH_BYTES_MAX: usize = 8 << 20;

/// One queue's worker. A log is always on the same one.
pub(super) struct Lane {
    pub(super) store: Arc<dyn Store>,
    pub(super) delivery: Delivery,
    pub(super) metrics: ServerMetrics,
}

impl Lane {
    /// Works until the last handle is gone and the queue is empty.
    pub(super) async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        let mut gathered = Vec::new();
        while jobs.recv_many(&mut gathered, BATCH_ENTRIES_MAX).await > 0 {
            let mut batch = Vec::new();
            let mut bytes = 0;
            for job in gathered.drain(..) {
                match job {
                    Job::Append(job) => {
                        bytes += job.append.block.len();
                        if bytes > BATCH_BYTES_MAX && !batch.is_empty() {
                            self.commit_batch(std::mem::take(&mut batch)).await;
                            bytes = job.append.block.len();
                        }
                        batch.push(job);
                    }
                    Job::Write(write, connection) => {
                        self.commit_batch(std::mem::take(&mut batch)).await;
                        bytes = 0;
                        self.write(*write, connection).await;
                    }
                }
            }
            self.commit_batch(batch).await;
        }
    }

    async fn commit_batch(&self, jobs: Vec<AppendJob>) {
        let mut admitted = Vec::with_capacity(jobs.len());
        for job in jobs {
            match (job.source.gate.pass(job.append.log, job.append.entry), &job.refused) {
                (Ok(()), None) => admitted.push(job),
                (Ok(()), Some(refusal)) => self.refuse(&job, refusal),
                (Err(refusal), _) => self.refuse(&job, &refusal),
            }
        }
        if admitted.is_empty() {
            return;
        }
        let appends: Vec<Append> = admitted.iter().map(|job| job.append.clone()).collect();
        match self.store.append(&appends).await {
            Ok(outcomes) => {
                self.metrics.append_batch.observe(appends.len() as f64);
                for (job, outcome) in admitted.into_iter().zip(outcomes) {
                    match outcome {
                        Ok(appended) => self.appended(job, appended).await,
                        Err(denied) => self.refuse(&job, &denied.into()),
                    }
                }
            }
            Err(error) => {
                let refusal = Refusal::from(error);
                for job in &admitted {
                    self.refuse(job, &refusal);
                }
            }
        }
    }

    fn refuse(&self, job: &AppendJob, refusal: &Refusal) {
        job.source.gate.refused(job.append.log, job.append.entry, refusal);
        self.metrics.errors.with_label_values(&[refusal.error.code.as_str()]).inc();
        job.source.outbox.answer(refusal.encode(Some(job.id)));
    }

    async fn appended(&self, job: AppendJob, appended: Appended) {
        let response = Response {
            seq: appended.seq,
            at: appended.at,
            duplicate: appended.duplicate,
        };
        match encode_response(job.id, &response, &Block::none()) {
            Ok(frame) => job.source.outbox.answer(frame),
            Err(error) => job.source.outbox.answer(Refusal::internal(&error).encode(Some(job.id))),
        }
        self.metrics.append_latency.observe(job.received.elapsed().as_secs_f64());
        let log = job.append.log;
        if appended.duplicate {
            self.metrics.append_duplicates.inc();
            self.ring_again(log, appended).await;
            return;
        }
        self.metrics.appends.inc();
        let entry = Entry {
            log,
            seq: appended.seq,
            at: appended.at,
            kind: job.append.kind,
            entry: job.append.entry,
            from: Some(job.append.account),
            device: Some(job.append.device),
            epoch: job.append.epoch,
            block: job.append.block,
            welcome_to: [].into(),
        };
        let written = Written {
            entry,
            members_seq: appended.members_seq,
        };
        self.delivery
            .ring(log, Doorbell::written(written, Some(job.source.connection)), Origin::Here)
            .await;
    }

    /// The first doorbell may have been lost with its server: rings again, from the log.
    async fn ring_again(&self, log: LogId, appended: Appended) {
        let bell = Doorbell::reference(appended.seq, None);
        self.delivery.ring(log, bell, Origin::Here).await;
    }

    async fn write(&self, write: Write, connection: Option<ConnectionId>) {
        // A connection that is gone by now needs no answer.
        let written = match write {
            Write::Commit(commit, done) => {
                let entry = commit.entry;
                let conversation = commit.conversation;
                let outcome = self.store.commit(commit).await;
                if let Ok(Committed { appended, .. }) = &outcome
                    && appended.duplicate
                {
                    self.ring_again(conversation, *appended).await;
                }
                let written = outcome.as_ref().map_or_else(|_| Vec::new(), |committed| committed.written.clone());
                let _ = done.send(outcome);
                // The committer has the response for the commit; the rest it is told like everybody.
                written
                    .into_iter()
                    .map(|w| (connection.filter(|_| w.entry.entry == entry), w))
                    .collect()
            }
            Write::Create(create, done) => {
                let outcome = self.store.create(create).await;
                let written = outcome.as_ref().map_or_else(|_| Vec::new(), |created| created.written.clone());
                let _ = done.send(outcome);
                to_everybody(written)
            }
            Write::Grant {
                conversation,
                actor,
                account,
                role,
                entry,
                at,
                done,
            } => settle(self.store.grant(conversation, actor, account, role, entry, at).await, done),
            Write::Leave {
                conversation,
                actor,
                entry,
                at,
                done,
            } => settle(self.store.leave(conversation, actor, entry, at).await, done),
        };
        for (appender, written) in written {
            self.delivery
                .ring(written.entry.log, Doorbell::written(written, appender), Origin::Here)
                .await;
        }
    }
}

fn to_everybody(written: Vec<Written>) -> Vec<(Option<ConnectionId>, Written)> {
    written.into_iter().map(|written| (None, written)).collect()
}

fn settle(outcome: store::Result<Vec<Written>>, done: oneshot::Sender<store::Result<()>>) -> Vec<(Option<ConnectionId>, Written)> {
    let (answer, written) = match outcome {
        Ok(written) => (Ok(()), written),
        Err(error) => (Err(error), Vec::new()),
    };
    let _ = done.send(answer);
    to_everybody(written)
}
