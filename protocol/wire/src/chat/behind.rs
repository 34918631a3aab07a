//! The `behind` event: pushes were dropped, fetch.

use crate::{Event, EventName, LogId};
use serde::{Deserialize, Serialize};

/// Pushes for this connection were dropped because it reads too slowly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Behind {
    /// Which log; without it everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogId>,
    /// Its last number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<u64>,
}

impl Event for Behind {
    const NAME: EventName = EventName::Behind;
}
