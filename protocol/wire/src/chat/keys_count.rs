//! `keys-count`: how many one-time packages this device has left.

use super::keys_publish::KeysAvailable;
use crate::{Op, Request};
use serde::{Deserialize, Serialize};

/// Asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeysCount {}

impl Request for KeysCount {
    const OP: Op = Op::KeysCount;
    type Response = KeysAvailable;
}
