//! `change-password`: seals the keyring anew. The block is the keyring.

use super::{auth_params::Kdf, login::Method};
use crate::{Op, Request, Secret32, encoding::Bytes64};
use serde::{Deserialize, Serialize};

/// Replaces what signs in; block: the keyring sealed anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChangePassword {
    /// The old one.
    pub auth: Secret32,
    /// What the old one was derived from.
    #[serde(default)]
    pub method: Method,
    /// 16 bytes.
    pub new_salt: Bytes64,
    /// How the new one was stretched.
    pub new_kdf: Kdf,
    /// The new one.
    pub new_auth: Secret32,
    /// A new recovery code's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_recovery_auth: Option<Secret32>,
    /// The current version, else `conflict`.
    pub keyring_version: u64,
}

impl Request for ChangePassword {
    const OP: Op = Op::ChangePassword;
    type Response = PasswordChanged;
}

/// Changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PasswordChanged {
    /// The new version.
    pub keyring_version: u64,
}
