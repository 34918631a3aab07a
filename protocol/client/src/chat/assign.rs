//! `assign`: asks a balancer for a server (PROTOCOL.md §3).

use crate::{Connection, Failure};
use fastchat_wire::{
    Block,
    chat::assign::{Assign, Assigned},
};

/// Where to go. The caller waits `wait-ms` before it dials.
///
/// # Errors
/// `no-server`, `overloaded`, `rate-limited`.
pub async fn assign(balancer: &Connection, request: &Assign) -> Result<Assigned, Failure> {
    Ok(balancer.request(request, &Block::none()).await?.header)
}
