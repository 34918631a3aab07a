//! `keys-publish`: MLS KeyPackages of this device, one piece each.

use crate::{Op, Request};
use serde::{Deserialize, Serialize};

/// Block: KeyPackages by `parts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeysPublish {
    /// The one that is handed out again and again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last_resort: bool,
}

impl Request for KeysPublish {
    const OP: Op = Op::KeysPublish;
    type Response = KeysAvailable;
}

/// How many one-time packages are left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeysAvailable {
    /// Unclaimed ones of this device.
    pub available: u64,
}
