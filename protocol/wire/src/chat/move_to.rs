//! The `move` event: this server asks the client to go to another one (make before break).

use crate::{Event, EventName, MoveId};
use serde::{Deserialize, Serialize};

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveReason {
    /// The server is being emptied.
    Drain,
    /// The fleet evens out.
    Rebalance,
}

/// Go to the balancer, `resume` elsewhere, then close here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Move {
    /// Goes into `assign`.
    #[serde(rename = "move")]
    pub id: MoveId,
    /// Why.
    pub reason: MoveReason,
    /// Wait so long first.
    pub after_ms: u64,
    /// The server closes then.
    pub within_ms: u64,
}

impl Event for Move {
    const NAME: EventName = EventName::Move;
}
