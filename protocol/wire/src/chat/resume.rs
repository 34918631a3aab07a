//! `resume`: signs in with a session token.

use crate::{AccountId, DeviceId, Op, Request, Secret};
use serde::{Deserialize, Serialize};

/// Signs in with a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Resume {
    /// From `register`, `login` or `resume`.
    pub token: Secret,
}

impl Request for Resume {
    const OP: Op = Op::Resume;
    type Response = Resumed;
}

/// Signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Resumed {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// The token to use from now on; the old one dies with its first use.
    pub token: Secret,
}
