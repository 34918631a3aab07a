//! What blobs count.

use super::sweep::Outcome;
use crate::store::sweep::Removal;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector};

/// What blobs count.
#[derive(Debug, Clone)]
pub(crate) struct BlobMeasures {
    pub(crate) in_memory: IntGauge,
    pub(crate) bytes_in: IntCounter,
    pub(crate) bytes_out: IntCounter,
    pub(super) removed: IntCounterVec,
    pub(super) orphans: IntCounter,
    pub(super) lost: IntGauge,
    pub(super) sweeps: IntCounterVec,
}

/// The label of a sweep that the store or the disk broke off.
pub(super) const FAILED: &str = "failed";

impl BlobMeasures {
    /// Registers them, each labelled one at 0.
    ///
    /// # Errors
    /// A metric is registered twice: a fault of ours.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let options = |name: &str, help: &str| Opts::new(format!("fastchat_server_{name}"), help);
        let measures = Self {
            in_memory: add(
                registry,
                IntGauge::with_opts(options(
                    "blob_bytes_in_memory",
                    "Bytes of blobs that are being stored, or wait to be written to their readers",
                ))?,
            )?,
            bytes_in: add(
                registry,
                IntCounter::with_opts(options("blob_bytes_in_total", "Bytes of blobs that were stored"))?,
            )?,
            bytes_out: add(
                registry,
                IntCounter::with_opts(options("blob_bytes_out_total", "Bytes of blobs that were read"))?,
            )?,
            removed: add(
                registry,
                IntCounterVec::new(options("blobs_removed_total", "Blobs removed, by reason"), &["reason"])?,
            )?,
            orphans: add(
                registry,
                IntCounter::with_opts(options(
                    "blob_orphans_removed_total",
                    "Sets of objects removed because no blob names them",
                ))?,
            )?,
            lost: add(
                registry,
                IntGauge::with_opts(options(
                    "blobs_lost",
                    "Blobs that this server found to miss bytes, when it last looked",
                ))?,
            )?,
            sweeps: add(
                registry,
                IntCounterVec::new(options("blob_sweeps_total", "Looks for blobs to remove, by outcome"), &["outcome"])?,
            )?,
        };
        for why in Removal::ALL {
            measures.removed.with_label_values(&[why.as_str()]);
        }
        for outcome in Outcome::ALL {
            measures.sweeps.with_label_values(&[outcome.as_str()]);
        }
        measures.sweeps.with_label_values(&[FAILED]);
        Ok(measures)
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
