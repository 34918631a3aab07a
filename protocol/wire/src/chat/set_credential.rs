//! `set-credential`: the account's identity (once) and this device's credential.

use crate::{Empty, Op, Request, encoding::Bytes64};
use serde::{Deserialize, Serialize};

/// Sets them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SetCredential {
    /// Public key; settable once for an account.
    pub identity: Bytes64,
    /// This device's, signed by that identity.
    pub credential: Bytes64,
}

impl Request for SetCredential {
    const OP: Op = Op::SetCredential;
    type Response = Empty;
}
