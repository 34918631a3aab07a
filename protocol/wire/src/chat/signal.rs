//! `signal`: told to who is online, not stored (typing and the like). The block is sealed.

use crate::{AccountId, DeviceId, Empty, Event, EventName, LogId, Op, Request};
use serde::{Deserialize, Serialize};

/// Block: at most [`crate::limits::SIGNAL_BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Signal {
    /// Where.
    pub conversation: LogId,
    /// The epoch that it was sealed in.
    pub epoch: u64,
}

impl Request for Signal {
    const OP: Op = Op::Signal;
    type Response = Empty;
}

/// Somebody's signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SignalEvent {
    /// Where.
    pub conversation: LogId,
    /// Whose.
    pub from: AccountId,
    /// Which device.
    pub device: DeviceId,
    /// The epoch that it was sealed in.
    pub epoch: u64,
}

impl Event for SignalEvent {
    const NAME: EventName = EventName::Signal;
}
