//! `mark`: delivered and read watermarks, stored and told to the others.

use crate::{AccountId, Empty, Event, EventName, LogId, Op, Request};
use serde::{Deserialize, Serialize};

/// Moves the own watermarks; never back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mark {
    /// Where.
    pub conversation: LogId,
    /// Delivered through this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<u64>,
    /// Read through this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<u64>,
}

impl Request for Mark {
    const OP: Op = Op::Mark;
    type Response = Empty;
}

/// A member's watermarks moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MarkEvent {
    /// Where.
    pub conversation: LogId,
    /// Whose.
    pub account: AccountId,
    /// Delivered through this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<u64>,
    /// Read through this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<u64>,
}

impl Event for MarkEvent {
    const NAME: EventName = EventName::Mark;
}
