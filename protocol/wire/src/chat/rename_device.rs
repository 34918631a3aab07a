//! `rename-device`: another name for a device of the account's.

use crate::{DeviceId, Empty, Op, Request};
use serde::{Deserialize, Serialize};

/// Names a device of the own account anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RenameDevice {
    /// Which.
    pub device: DeviceId,
    /// For people.
    pub device_name: String,
}

impl Request for RenameDevice {
    const OP: Op = Op::RenameDevice;
    type Response = Empty;
}
