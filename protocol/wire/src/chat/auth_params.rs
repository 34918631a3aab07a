//! `auth-params`: how a name's password is stretched (PROTOCOL.md §4, E2E.md §2).

use crate::{Op, Request, Username, encoding::Bytes64};
use serde::{Deserialize, Serialize};

/// Asks for a name's parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AuthParams {
    /// Whose.
    pub username: Username,
}

impl Request for AuthParams {
    const OP: Op = Op::AuthParams;
    type Response = AuthParameters;
}

/// Salt and work factors; made up, always the same, for an unknown name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AuthParameters {
    /// 16 bytes.
    pub salt: Bytes64,
    /// The stretching.
    pub kdf: Kdf,
}

/// Work factors of the client's stretching. The server stores them and does not interpret them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kdf {
    /// `argon2id`.
    pub alg: String,
    /// Memory in KiB.
    pub m_kib: u32,
    /// Passes.
    pub t: u32,
    /// Lanes.
    pub p: u32,
}

impl Kdf {
    /// What registration uses: Argon2id, 64 MiB, 3 passes, 1 lane (E2E.md §2).
    #[must_use]
    pub fn registration() -> Self {
        Self {
            alg: "argon2id".to_owned(),
            m_kib: 64 << 10,
            t: 3,
            p: 1,
        }
    }
}
