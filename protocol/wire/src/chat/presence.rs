//! The `presence` event: an account of a direct conversation came or went.

use crate::{AccountId, Event, EventName};
use serde::{Deserialize, Serialize};

/// To the accounts that share a direct conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Presence {
    /// Who.
    pub account: AccountId,
    /// Has a session somewhere.
    pub online: bool,
}

impl Event for Presence {
    const NAME: EventName = EventName::Presence;
}
