//! `hello`: opens the conversation with a server (PROTOCOL.md §4).

use crate::{Op, Request, Secret};
use serde::{Deserialize, Serialize};

/// Opens the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hello {
    /// The protocol's version: 1.
    pub version: u32,
    /// The client's name and version, for people.
    pub agent: String,
    /// From `assign`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Secret>,
}

impl Request for Hello {
    const OP: Op = Op::Hello;
    type Response = Welcome;
}

/// Who answers, and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Welcome {
    /// The server's name.
    pub server: String,
    /// The protocol's version: 1.
    pub version: u32,
    /// Id of the fleet's store and of its last restore: another one means that cursors start over.
    pub store: String,
    /// Largest header in bytes, after sign-in.
    pub max_header: usize,
    /// Largest block in bytes, after sign-in.
    pub max_block: usize,
    /// Two of these silent, and the connection is closed.
    pub ping_interval_ms: u64,
    /// What this server has beyond version 1.
    pub features: Vec<String>,
}
