//! What the agent knows of one instance, and how that changes. Pure.
//!
//! ```text
//!             start                    ended by itself
//!   (none) ─────────> Running ─────────────────────────> Crashed
//!                      │   ^  <───── start, after its backoff ─┘ │
//!     not wanted, or   │   │ start (wanted)                      │ not wanted
//!     epoch grew       v   │                                     v
//!                   Stopping ───────── ended ──────────────>  Stopped
//! ```

use fastchat_wire::control::{InstanceState, InstanceStatus, Role};
use serde::{Deserialize, Serialize};

/// Wait before the first restart.
pub(super) const RESTART_MS_MIN: u64 = 200;
/// Longest wait before a restart.
pub(super) const RESTART_MS_MAX: u64 = 10_000;
/// After so long a life a crash counts as the first one again.
pub(super) const LIFE_MS: u64 = 30_000;

/// What the agent has done last with an instance.
///
/// Times are ms on the agent's clock, which starts at 0 with the agent; they
/// aren't kept, so that what a former agent began counts from the new one's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Started, or about to be.
    Running {
        /// Since when.
        #[serde(skip)]
        since: u64,
    },
    /// Ended by itself; it starts again after its backoff.
    Crashed {
        /// When.
        #[serde(skip)]
        since: u64,
    },
    /// Asked to end.
    Stopping {
        /// Since when.
        #[serde(skip)]
        since: u64,
        /// SIGKILL was sent.
        #[serde(skip)]
        hard: bool,
    },
    /// Ended as asked: a tombstone.
    Stopped,
}

/// One instance in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// Its role.
    pub(crate) role: Role,
    /// Epoch of the spec that it was started by.
    pub(crate) epoch: u64,
    /// What was done last with it.
    pub(crate) phase: Phase,
    /// Starts after the first one that nobody asked for.
    pub(crate) restarts: u64,
    /// The wait before its next restart, in ms; 0 before its first crash.
    #[serde(default)]
    pub(crate) backoff_ms: u64,
    /// How it ended last, for people.
    #[serde(default)]
    pub(crate) last_exit: Option<String>,
}

impl Instance {
    /// An instance that is about to be started for the first time.
    pub(crate) fn new(role: Role, epoch: u64, now: u64) -> Self {
        Self {
            role,
            epoch,
            phase: Phase::Running { since: now },
            restarts: 0,
            backoff_ms: 0,
            last_exit: None,
        }
    }

    /// It is about to be started; `restart` where nobody asked for that.
    pub(super) fn starts(&mut self, role: Role, epoch: u64, restart: bool, now: u64) {
        self.role = role;
        self.epoch = epoch;
        self.phase = Phase::Running { since: now };
        if restart {
            self.restarts += 1;
        } else {
            self.backoff_ms = 0;
        }
    }

    /// It ended by itself.
    pub(super) fn crashes(&mut self, exit: Option<String>, now: u64) {
        let lived_ms = match self.phase {
            Phase::Running { since } => now.saturating_sub(since),
            Phase::Crashed { .. } | Phase::Stopping { .. } | Phase::Stopped => 0,
        };
        self.backoff_ms = match self.backoff_ms {
            _ if lived_ms >= LIFE_MS => RESTART_MS_MIN,
            0 => RESTART_MS_MIN,
            before => (before * 2).min(RESTART_MS_MAX),
        };
        self.phase = Phase::Crashed { since: now };
        self.last_exit = exit.or(Some("ended while no agent watched".into()));
    }

    /// When a crashed instance is due to start again.
    pub(super) fn restart_at(&self, since: u64) -> u64 {
        since + self.backoff_ms
    }

    /// What the control plane is told of it.
    pub(super) fn status(&self, name: &str, pid: Option<u32>) -> InstanceStatus {
        InstanceStatus {
            name: name.to_owned(),
            role: self.role,
            state: self.state(),
            pid,
            restarts: self.restarts,
            last_exit: self.last_exit.clone(),
        }
    }

    /// The state as the control plane names it.
    pub(super) fn state(&self) -> InstanceState {
        match self.phase {
            Phase::Running { .. } => InstanceState::Running,
            Phase::Crashed { .. } => InstanceState::Crashed,
            Phase::Stopping { .. } => InstanceState::Stopping,
            Phase::Stopped => InstanceState::Stopped,
        }
    }
}
