//! The bus between the servers: doorbells and presence, nothing that must not be lost.
//!
//! ```text
//!  mesh   s1 <── TCP ──> s2 <── TCP ──> s3          nothing to install
//!  nats   s1 ──> broker <── s2, s3                  one subject for each server, one for all
//! ```
//!
//! On both, every peer's messages carry its incarnation and a count, and a
//! heartbeat says each [`HEARTBEAT`] how many were sent; a link that is silent
//! for [`LINK_SILENCE`] is down. So a loss, a peer that is away and one that
//! started again show as [`BusEvent`]s, and the receiver mends from the log.
//! Whoever holds the fleet's key is a peer; nobody else is heard.

#[cfg(test)]
mod conformance;
pub(crate) mod mesh;
pub(crate) mod message;
mod metrics;
pub(crate) mod nats;
mod redial;

pub(crate) use message::Message;
pub(crate) use metrics::{BusMetrics, Refused};

use async_trait::async_trait;
use fastchat_wire::control::Peer;
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::time::timeout;

/// Between two heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// A link without any sign of life for so long is down.
const LINK_SILENCE: Duration = Duration::from_millis(1_000);
/// Events that wait to be handled; then links are read more slowly.
const EVENTS_QUEUE: usize = 4_096;
/// What servers say to each other; they must agree on it.
pub(crate) const VERSION: u8 = 1;

/// Waits for a sign of life; `None` after [`LINK_SILENCE`]. Whoever was kept
/// from running for so long looks once more before it calls the other one silent.
async fn alive<T>(sign: impl Future<Output = T>) -> Option<T> {
    let mut sign = pin!(sign);
    for wait in [LINK_SILENCE - HEARTBEAT, HEARTBEAT] {
        if let Ok(sign) = timeout(wait, sign.as_mut()).await {
            return Some(sign);
        }
    }
    None
}

/// Sends to other servers. Never waits: what does not fit into a queue is
/// dropped and counted, and shows at its receiver as a gap.
#[async_trait]
pub(crate) trait Bus: Send + Sync {
    /// To one server; nothing where there is no link to it.
    fn send(&self, server: &str, message: &Message) {
        self.send_each(&[server], message);
    }

    /// To each of these servers; nothing where there is no link to one.
    fn send_each(&self, servers: &[&str], message: &Message);

    /// To every server that there is a link to.
    fn broadcast(&self, message: &Message);

    /// Has links with these servers and no others.
    fn set_peers(self: Arc<Self>, peers: &[Peer]);

    /// True where every peer is heard and hears us.
    fn is_whole(&self) -> bool;

    /// Waits for the bus's tasks to end, after its shutdown token was cancelled.
    async fn stopped(&self);
}

/// What the bus tells.
#[derive(Debug, PartialEq)]
pub(crate) enum BusEvent {
    /// That server receives from us from now on, on the link of that number.
    Listening(String, u64),
    /// On that link it receives no more; there may be another by now.
    Deaf(String, u64),
    /// We receive from that server from now on; what it sent before is unknown.
    Hears(String),
    /// We receive from it no more.
    Silent(String),
    /// Something that it sent was lost.
    Gap(String),
    /// It sent this.
    Message(String, Message),
}
