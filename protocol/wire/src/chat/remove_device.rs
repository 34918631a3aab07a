//! `remove-device`: ends a device of the account's and its sessions; and the `device` event.

use crate::{AccountId, DeviceId, Empty, Event, EventName, Op, Request};
use serde::{Deserialize, Serialize};

/// Removes a device of the own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RemoveDevice {
    /// Which.
    pub device: DeviceId,
}

impl Request for RemoveDevice {
    const OP: Op = Op::RemoveDevice;
    type Response = Empty;
}

/// What happened to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceChange {
    /// It signed in for the first time.
    Added,
    /// It is gone.
    Removed,
}

/// To every account that shares a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeviceEvent {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub device: DeviceId,
    /// What happened.
    pub change: DeviceChange,
}

impl Event for DeviceEvent {
    const NAME: EventName = EventName::Device;
}
