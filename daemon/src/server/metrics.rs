//! What a chat server counts.

use crate::bus::BusMetrics;
use fastchat_wire::{Code, Op};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector};

/// What a chat server counts. Never a label of an account, device, conversation or client.
#[derive(Debug, Clone)]
pub(crate) struct ServerMetrics {
    pub(crate) connections: IntGauge,
    pub(crate) accepted: IntCounter,
    pub(crate) closed: IntCounterVec,
    pub(crate) frames_in: IntCounter,
    pub(crate) frames_out: IntCounter,
    pub(crate) bytes_in: IntCounter,
    pub(crate) bytes_out: IntCounter,
    pub(crate) requests: IntCounterVec,
    pub(crate) errors: IntCounterVec,
    pub(crate) appends: IntCounter,
    pub(crate) append_duplicates: IntCounter,
    pub(crate) append_latency: Histogram,
    pub(crate) append_batch: Histogram,
    pub(crate) pushes: IntCounter,
    pub(crate) pushes_dropped: IntCounter,
    pub(crate) holes_read: IntCounter,
    pub(crate) bus: BusMetrics,
    pub(crate) sign_ins: IntCounterVec,
    pub(crate) generation: IntGauge,
}

/// Why a connection ended: the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The peer closed it.
    Peer,
    /// The peer broke the framing.
    BadFrame,
    /// It said nothing for two ping intervals, or did not sign in in time.
    Silent,
    /// A frame took too long to arrive, or nothing could be written for too long.
    Slow,
    /// Its session ended, or its move's time was over.
    Ended,
    /// The socket failed.
    Error,
}

impl Closed {
    const ALL: [Self; 6] = [Self::Peer, Self::BadFrame, Self::Silent, Self::Slow, Self::Ended, Self::Error];

    /// The label's value.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::BadFrame => "bad-frame",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Ended => "ended",
            Self::Error => "error",
        }
    }
}

/// Labels of `sign_ins`.
pub(crate) const SIGN_IN_METHODS: [&str; 3] = ["register", "login", "resume"];
/// Labels of `sign_ins`.
pub(crate) const SIGN_IN_OUTCOMES: [&str; 2] = ["ok", "refused"];

/// Commits to a quiet disk take some 0.2 ms; 0.1 s is the objective.
const LATENCY_SECONDS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 2.5];
const BATCH_ENTRIES: [f64; 10] = [1.5, 2.5, 4.5, 8.5, 16.5, 32.5, 64.5, 128.5, 256.5, 512.5];

impl ServerMetrics {
    /// Registers them, each labelled one at 0.
    ///
    /// # Errors
    /// A metric is registered twice: a fault of ours.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| add(registry, IntCounter::new(format!("fastchat_server_{name}"), help)?);
        let gauge = |name: &str, help: &str| add(registry, IntGauge::new(format!("fastchat_server_{name}"), help)?);
        let counters = |name: &str, help: &str, labels: &[&str]| {
            add(
                registry,
                IntCounterVec::new(Opts::new(format!("fastchat_server_{name}"), help), labels)?,
            )
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            add(
                registry,
                Histogram::with_opts(HistogramOpts::new(format!("fastchat_server_{name}"), help).buckets(buckets.to_vec()))?,
            )
        };
        let metrics = Self {
            connections: gauge("connections", "Connections past hello")?,
            accepted: counter("connections_accepted_total", "Connections accepted")?,
            closed: counters("connections_closed_total", "Connections ended, by reason", &["reason"])?,
            frames_in: counter("frames_in_total", "Frames received from clients")?,
            frames_out: counter("frames_out_total", "Frames sent to clients")?,
            bytes_in: counter("bytes_in_total", "Bytes received from clients")?,
            bytes_out: counter("bytes_out_total", "Bytes sent to clients")?,
            requests: counters("requests_total", "Requests received, by verb", &["op"])?,
            errors: counters("errors_total", "Requests refused, by code", &["code"])?,
            appends: counter("appends_total", "Entries appended by clients")?,
            append_duplicates: counter("append_duplicates_total", "Appends of entries that stood there already")?,
            append_latency: histogram("append_latency_seconds", "From an append's arrival to its commit", &LATENCY_SECONDS)?,
            append_batch: histogram("append_batch_entries", "Entries of one transaction", &BATCH_ENTRIES)?,
            pushes: counter("pushes_total", "Entries queued for connections")?,
            pushes_dropped: counter("pushes_dropped_total", "Entries not queued because a connection reads too slowly")?,
            holes_read: counter(
                "holes_read_total",
                "Times that entries were read from a log because doorbells were late or lost",
            )?,
            bus: BusMetrics::register(registry)?,
            sign_ins: counters("sign_ins_total", "Sign-ins, by method and outcome", &["method", "outcome"])?,
            generation: gauge("generation", "Generation of the spec in force")?,
        };
        for op in Op::ALL {
            metrics.requests.with_label_values(&[op.as_str()]);
        }
        metrics.requests.with_label_values(&[UNKNOWN_OP]);
        for code in Code::ALL {
            metrics.errors.with_label_values(&[code.as_str()]);
        }
        for reason in Closed::ALL {
            metrics.closed.with_label_values(&[reason.as_str()]);
        }
        for method in SIGN_IN_METHODS {
            for outcome in SIGN_IN_OUTCOMES {
                metrics.sign_ins.with_label_values(&[method, outcome]);
            }
        }
        Ok(metrics)
    }
}

/// Label of verbs that the protocol doesn't have.
pub(crate) const UNKNOWN_OP: &str = "unknown";

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
