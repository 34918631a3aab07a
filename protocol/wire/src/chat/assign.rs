//! `assign`: a client asks the balancer for a server (PROTOCOL.md §3).

use crate::{MoveId, Op, Request, Secret};
use serde::{Deserialize, Serialize};

/// Asks for a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Assign {
    /// Feeds the sticky strategies; at most [`crate::limits::HINT_BYTES_MAX`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The client holds a session token: its arrival is cheap.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resume: bool,
    /// The `move` event that sent the client.
    #[serde(default, rename = "move", skip_serializing_if = "Option::is_none")]
    pub move_id: Option<MoveId>,
    /// The client can't be redirected: pipe this connection.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proxy: bool,
}

impl Request for Assign {
    const OP: Op = Op::Assign;
    type Response = Assigned;
}

/// Where to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Assigned {
    /// The server's name.
    pub server: String,
    /// Where to dial, `host:port`; absent where the connection is piped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Goes into `hello`.
    pub ticket: Secret,
    /// Dial after so many milliseconds.
    pub wait_ms: u64,
    /// Life of the ticket, from the end of `wait-ms`.
    pub expires_in_ms: u64,
}
