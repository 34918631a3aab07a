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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Block, encode_response,
        limits::{CREDENTIAL_BYTES_MAX, DEVICES_PER_ACCOUNT_MAX, IDENTITY_BYTES_MAX, INTEGER_MAX, LABEL_BYTES_MAX, USERNAME_CHARS_MAX},
    };

    #[test]
    fn the_largest_account_fits_a_header() {
        let device = DeviceInfo {
            device: DeviceId([0xff; 16]),
            // JSON escapes it, and with it doubles it.
            name: "\"".repeat(LABEL_BYTES_MAX),
            created_at: INTEGER_MAX,
            credential: Some(Bytes64(vec![0xff; CREDENTIAL_BYTES_MAX])),
        };
        let account = LookedUp {
            account: AccountId([0xff; 16]),
            username: "a".repeat(USERNAME_CHARS_MAX).parse().unwrap(),
            identity: Some(Bytes64(vec![0xff; IDENTITY_BYTES_MAX])),
            devices: vec![device; DEVICES_PER_ACCOUNT_MAX],
        };
        encode_response(INTEGER_MAX, &account, &Block::none()).unwrap();
    }
}
