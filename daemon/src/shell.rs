//! What every role is given: its spec, its report, its end.
//!
//! ```text
//!  control plane ──spec──> follow ──> cache (spec.json)
//!  or a file                 │ watch
//!                            ▼
//!  signals ──shutdown──>    role  ──report──> report ──status──> control plane
//!                            │
//!              probes <── readiness, registry ──> systemd
//! ```
//!
//! Only [`run`] knows all of it. Once a role runs, nothing but its own end, a
//! signal or the loss of the probes' listener ends it: the control plane may
//! come and go.

mod admit;
mod backoff;
mod cache;
mod control_link;
mod first_spec;
mod follow;
mod instance_lock;
mod report;
mod run;
mod signals;
mod systemd;
mod trouble;

pub(crate) use instance_lock::LOCK_FILE;
pub(crate) use run::run;

use crate::{
    net::transport::Transport,
    probes::{Readiness, TracePage},
};
use fastchat_wire::control::{ProcessState, Spec, StatusPart};
use std::{path::PathBuf, sync::Arc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What a role reports of itself; the shell adds name, pid and version and posts it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    /// Generation of the spec in force.
    pub(crate) applied_generation: u64,
    /// What the role is doing.
    pub(crate) state: ProcessState,
    /// What keeps it from `ready`, or from its newest spec.
    pub(crate) problem: Option<String>,
    /// The role's part.
    pub(crate) part: StatusPart,
}

/// What every role is given.
pub(crate) struct Shell {
    /// The process's name in the fleet.
    pub(crate) name: String,
    /// Folder of what the process keeps of its own.
    pub(crate) state: PathBuf,
    /// The newest spec of this role and store; only ever replaced by a newer generation.
    pub(crate) spec: watch::Receiver<Arc<Spec>>,
    /// What the role reports; posted on change.
    pub(crate) report: watch::Sender<Report>,
    /// Cancelled on SIGTERM or SIGINT: end softly, within [`STOP_MS_MAX`].
    pub(crate) shutdown: CancellationToken,
    /// Where the role registers its metrics.
    pub(crate) registry: prometheus::Registry,
    /// What `/readyz` answers.
    pub(crate) readiness: Readiness,
    /// What `/trace` answers.
    pub(crate) trace: TracePage,
    /// How the role listens and dials.
    pub(crate) transport: Transport,
}

/// A role that has not ended so long after `shutdown` is ended hard.
pub(crate) const STOP_MS_MAX: u64 = 8_000;
