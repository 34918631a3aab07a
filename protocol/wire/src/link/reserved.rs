//! `reserved`: a balancer's outstanding reservations for a server, which echoes the others' sum.

use crate::{Event, EventName};
use serde::{Deserialize, Serialize};

/// Outstanding reservations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reserved {
    /// How many.
    #[serde(rename = "reserved")]
    pub count: u64,
}

impl Event for Reserved {
    const NAME: EventName = EventName::Reserved;
}
