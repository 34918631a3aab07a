//! `attach`: a server joins a balancer (PROTOCOL.md §9).

use super::load::Load;
use crate::{Empty, Op, Request, Secret};
use serde::{Deserialize, Serialize};

/// First frame of the link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Attach {
    /// The server's name.
    pub server: String,
    /// Where clients dial it.
    pub address: String,
    /// Its share, above 0; 1 is usual.
    pub weight: f64,
    /// Proves that it belongs to the fleet.
    pub token: Secret,
    /// Tickets redeemed in the last 30 s.
    #[serde(default)]
    pub redeemed: Vec<Secret>,
    /// Its load now.
    pub load: Load,
}

impl Request for Attach {
    const OP: Op = Op::Attach;
    type Response = Empty;
}
