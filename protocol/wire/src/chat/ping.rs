//! `ping`: nothing but a sign of life.

use crate::{Empty, Op, Request};
use serde::{Deserialize, Serialize};

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ping {}

impl Request for Ping {
    const OP: Op = Op::Ping;
    type Response = Empty;
}
