//! Operations: long work that an operator asked for, persisted until it ends.
//!
//! ```text
//!  pending ──agent or process moved──> running ──> succeeded
//!     └──────────────────────────────────┴───────> failed (deadline, with a problem)
//! ```

use crate::{clock, problem::Problem};
use fastchat_wire::control::Role;
use serde::{Deserialize, Serialize};

/// A server or balancer that is not ready so long after it was asked for failed (ms).
pub(crate) const CREATE_MS_MAX: u64 = 60_000;
/// A process that has not ended so long after its drain's deadline failed to (ms).
pub(crate) const STOP_MS_MAX: u64 = 60_000;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Launch an instance and see it ready.
    Create,
    /// Drain, stop and forget an instance.
    Remove,
    /// Try a strategy until it is confirmed.
    Trial,
    /// Have servers give clients away until each has its share.
    Rebalance,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationState {
    /// Stored; nothing moved yet.
    Pending,
    /// Under way.
    Running,
    /// Done.
    Succeeded,
    /// Given up; `error` says why.
    Failed,
}

impl OperationState {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Pending, Self::Running, Self::Succeeded, Self::Failed];

    /// As JSON, the database and metrics name it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// It will not change any more.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// What an operation is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    /// Server or balancer.
    pub(crate) role: Role,
    /// Its name.
    pub(crate) name: String,
}

/// When the target was first seen in a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The target's state.
    pub(crate) state: String,
    /// When.
    #[serde(with = "clock::rfc3339")]
    pub(crate) at: u64,
}

/// An operation, as stored and as REST shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Operation {
    /// Sorts by age.
    pub(crate) id: String,
    /// What was asked for.
    pub(crate) kind: Kind,
    /// What it is about.
    pub(crate) target: Target,
    /// How far it is.
    pub(crate) state: OperationState,
    /// The target's states so far.
    pub(crate) steps: Vec<Step>,
    /// Why it failed.
    pub(crate) error: Option<Problem>,
    /// When it was asked for.
    #[serde(with = "clock::rfc3339")]
    pub(crate) created_at: u64,
    /// When it changed last.
    #[serde(with = "clock::rfc3339")]
    pub(crate) updated_at: u64,
    /// It fails after this time.
    #[serde(with = "clock::rfc3339")]
    pub(crate) deadline_at: u64,
}

impl Operation {
    /// One that was just asked for; times in ms since the Unix epoch.
    pub(crate) fn new(id: String, kind: Kind, target: Target, now: u64, deadline_at: u64) -> Self {
        Self {
            id,
            kind,
            target,
            state: OperationState::Pending,
            steps: Vec::new(),
            error: None,
            created_at: now,
            updated_at: now,
            deadline_at,
        }
    }

    /// Where REST shows it.
    pub(crate) fn path(&self) -> String {
        format!("/v1/operations/{}", self.id)
    }
}

/// A new operation's id.
pub(crate) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
