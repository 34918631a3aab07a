//! `register`: a new account with its first device. The block is the sealed keyring.

use super::auth_params::Kdf;
use crate::{AccountId, DeviceId, Op, Request, Secret, Secret32, Username, encoding::Bytes64};
use serde::{Deserialize, Serialize};

/// A new account; block: the sealed keyring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Register {
    /// The name it wants.
    pub username: Username,
    /// 16 bytes.
    pub salt: Bytes64,
    /// How `auth` was stretched.
    pub kdf: Kdf,
    /// 32 bytes derived from the password.
    pub auth: Secret32,
    /// 32 bytes derived from the recovery code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_auth: Option<Secret32>,
    /// For people.
    pub device_name: String,
}

impl Request for Register {
    const OP: Op = Op::Register;
    type Response = Registered;
}

/// The new account, signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Registered {
    /// The account.
    pub account: AccountId,
    /// Its first device; also the id of its inbox.
    pub device: DeviceId,
    /// For `resume`.
    pub token: Secret,
}
