//! `keys-claim`: one KeyPackage for each device. The request's block is [`KeysClaimLists`] as JSON; the answer's first piece is a JSON array of devices, then one package for each.

use crate::{AccountId, DeviceId, Empty, Op, Request};
use serde::{Deserialize, Serialize};

/// Block: [`KeysClaimLists`] as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeysClaim {}

impl Request for KeysClaim {
    const OP: Op = Op::KeysClaim;
    type Response = Empty;
}

/// Whose packages; at most [`crate::limits::KEYS_CLAIM_MAX`] of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeysClaimLists {
    /// All devices of these.
    #[serde(default)]
    pub accounts: Vec<AccountId>,
    /// And these.
    #[serde(default)]
    pub devices: Vec<DeviceId>,
}
