//! `login`: signs in with the password or the recovery code. The answer's block is the sealed keyring.

use crate::{AccountId, DeviceId, Op, Request, Secret, Secret32, Username};
use serde::{Deserialize, Serialize};

/// What `auth` was derived from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The password.
    #[default]
    Password,
    /// The recovery code.
    Recovery,
}

/// Signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Login {
    /// Who.
    pub username: Username,
    /// 32 bytes derived from password or recovery code.
    pub auth: Secret32,
    /// Which of them.
    #[serde(default)]
    pub method: Method,
    /// A device of the account's; without it a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// A new device under an id of the client's choice, so that a login whose answer was lost can be sent again: where
    /// the account has it by now, it is that one. Not beside `device`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_device: Option<DeviceId>,
    /// A new device's name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
}

impl Request for Login {
    const OP: Op = Op::Login;
    type Response = LoggedIn;
}

/// Signed in; block: the sealed keyring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LoggedIn {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// For `resume`.
    pub token: Secret,
    /// Counts password changes, from 1.
    pub keyring_version: u64,
}
