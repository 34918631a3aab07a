//! `lookup`: an account by name or id, with its devices.

use crate::{AccountId, DeviceId, Op, Request, Username, encoding::Bytes64};
use serde::{Deserialize, Serialize};

/// Exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lookup {
    /// By name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Username>,
    /// By id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
}

impl Request for Lookup {
    const OP: Op = Op::Lookup;
    type Response = LookedUp;
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LookedUp {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub username: Username,
    /// Its public identity key, once set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Bytes64>,
    /// Its devices.
    pub devices: Vec<DeviceInfo>,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeviceInfo {
    /// The device.
    pub device: DeviceId,
    /// For people.
    pub name: String,
    /// ms since the Unix epoch.
    pub created_at: u64,
    /// Signed by the identity, once set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Bytes64>,
}
