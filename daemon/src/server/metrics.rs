//! What a chat server counts.

use super::hub::Pushed;
use crate::{bus::BusMetrics, limits::Limit, net::door::DoorMetrics, store::postgres::AppendPaths};
use fastchat_wire::{Code, EventName, Op};
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
    pub(crate) limited: IntCounterVec,
    pub(crate) appends: IntCounter,
    pub(crate) append_duplicates: IntCounter,
    pub(crate) append_latency: Histogram,
    pub(crate) append_batch: Histogram,
    pub(crate) append_paths: IntCounterVec,
    pub(crate) pushes: IntCounter,
    pub(crate) pushes_dropped: IntCounter,
    pub(crate) hints: IntCounterVec,
    pub(crate) hints_dropped: IntCounterVec,
    pub(crate) presence_watched: IntGauge,
    pub(crate) holes_read: IntCounter,
    pub(crate) bus: BusMetrics,
    pub(crate) sign_ins: IntCounterVec,
    pub(crate) generation: IntGauge,
    pub(crate) doors: DoorMetrics,
}

/// Why a connection ended: the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The peer closed it.
    Peer,
    /// The peer broke the framing.
    BadFrame,
    /// It did not become TLS.
    Handshake,
    /// It said nothing for two ping intervals, or did not sign in in time.
    Silent,
    /// A frame took too long to arrive, or nothing could be written for too long.
    Slow,
    /// It went on asking for more than it was given.
    Limited,
    /// Its session ended, or its move's time was over.
    Ended,
    /// The socket failed.
    Error,
}

impl Closed {
    const ALL: [Self; 8] = [
        Self::Peer,
        Self::BadFrame,
        Self::Handshake,
        Self::Silent,
        Self::Slow,
        Self::Limited,
        Self::Ended,
        Self::Error,
    ];

    /// The label's value.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::BadFrame => "bad-frame",
            Self::Handshake => "handshake",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Limited => "limited",
            Self::Ended => "ended",
            Self::Error => "error",
        }
    }
}

/// Name of the clients' listener.
pub(crate) const CLIENTS: &str = "clients";
/// Name of the other servers' listener.
pub(crate) const OTHER_SERVERS: &str = "bus";
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
            limited: counters("limited_total", "What clients were not given, or later, by limit", &["limit"])?,
            appends: counter("appends_total", "Entries appended by clients")?,
            append_duplicates: counter("append_duplicates_total", "Appends of entries that stood there already")?,
            append_latency: histogram("append_latency_seconds", "From an append's arrival to its commit", &LATENCY_SECONDS)?,
            append_batch: histogram("append_batch_entries", "Entries of one transaction", &BATCH_ENTRIES)?,
            append_paths: counters(
                "append_paths_total",
                "Entries by the path that they took into PostgreSQL: numbered from memory, locked; again where memory was wrong",
                &["path"],
            )?,
            pushes: counter("pushes_total", "Entries queued for connections")?,
            pushes_dropped: counter("pushes_dropped_total", "Entries not queued because a connection reads too slowly")?,
            hints: counters(
                "hints_total",
                "Events that no log keeps, queued for connections, by event",
                &["event"],
            )?,
            hints_dropped: counters(
                "hints_dropped_total",
                "Events that no log keeps, not queued because a connection reads too slowly, by event",
                &["event"],
            )?,
            presence_watched: gauge("presence_watched", "Accounts of whose presence somebody here is told")?,
            holes_read: counter(
                "holes_read_total",
                "Times that entries were read from a log because doorbells were late or lost",
            )?,
            bus: BusMetrics::register(registry)?,
            sign_ins: counters("sign_ins_total", "Sign-ins, by method and outcome", &["method", "outcome"])?,
            generation: gauge("generation", "Generation of the spec in force")?,
            doors: DoorMetrics::register(registry, "server", &[CLIENTS, OTHER_SERVERS])?,
        };
        for op in Op::ALL {
            metrics.requests.with_label_values(&[op.as_str()]);
        }
        metrics.requests.with_label_values(&[UNKNOWN_OP]);
        for code in Code::ALL {
            metrics.errors.with_label_values(&[code.as_str()]);
        }
        for path in AppendPaths::ALL {
            metrics.append_paths.with_label_values(&[path]);
        }
        for limit in Limit::SERVER {
            metrics.limited.with_label_values(&[limit.as_str()]);
        }
        for event in HINTS {
            metrics.hints.with_label_values(&[event.as_str()]);
            metrics.hints_dropped.with_label_values(&[event.as_str()]);
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

    /// Counts what became of an event that no log keeps.
    pub(crate) fn hints(&self, event: EventName, pushed: Pushed) {
        self.hints.with_label_values(&[event.as_str()]).inc_by(pushed.queued);
        self.hints_dropped.with_label_values(&[event.as_str()]).inc_by(pushed.dropped);
    }
}

/// Events that no log keeps: labels of `hints_total` and `hints_dropped_total`.
const HINTS: [EventName; 4] = [EventName::Mark, EventName::Signal, EventName::Device, EventName::Presence];

/// Label of verbs that the protocol doesn't have.
pub(crate) const UNKNOWN_OP: &str = "unknown";

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
