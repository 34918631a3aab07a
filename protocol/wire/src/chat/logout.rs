//! `logout`: ends the session, or all of the account's.

use crate::{Empty, Op, Request};
use serde::{Deserialize, Serialize};

/// Ends the session and its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Logout {
    /// All sessions of the account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub everywhere: bool,
}

impl Request for Logout {
    const OP: Op = Op::Logout;
    type Response = Empty;
}
