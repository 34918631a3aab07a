//! `load`: what a server carries; within 50 ms of a change, and every 500 ms.

use crate::{Event, EventName, MoveId, Secret};
use serde::{Deserialize, Serialize};

/// A server's load. `redeemed` takes effect together with `connections`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Load {
    /// Connections past `hello`.
    pub connections: u64,
    /// Sent to clients since its start.
    pub bytes_out: u64,
    /// Received from clients since its start.
    pub bytes_in: u64,
    /// Tickets redeemed since the last `load`.
    #[serde(default)]
    pub redeemed: Vec<Secret>,
    /// Moves sent since the last `load`.
    #[serde(default)]
    pub moving: Vec<MoveId>,
    /// Takes no new clients.
    #[serde(default)]
    pub draining: bool,
    /// Reservations of the other balancers.
    #[serde(default)]
    pub reserved_elsewhere: u64,
}

impl Event for Load {
    const NAME: EventName = EventName::Load;
}
