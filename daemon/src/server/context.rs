//! What every handler may use.

use super::{blobs::Blobs, news::Announcer, password::Passwords};
use crate::{
    fleet_key::FleetKey,
    store::{Store, accounts::SessionId, logs::Actor},
};
use fastchat_wire::{AccountId, DeviceId};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// What every handler may use.
pub(crate) struct Context {
    /// This server's name.
    pub(crate) name: String,
    /// `store` in `hello`.
    pub(crate) store_id: String,
    /// Everything that lasts.
    pub(crate) store: Arc<dyn Store>,
    /// The blobs' bytes, and what they may cost.
    pub(crate) blobs: Blobs,
    /// The server's own hashing of `auth`, bounded.
    pub(crate) passwords: Passwords,
    /// The fleet's key.
    pub(crate) fleet_key: FleetKey,
    /// Tells connections here and on the other servers.
    pub(crate) announcer: Announcer,
}

/// Who is signed in on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) session: SessionId,
}

impl Identity {
    /// As the store's calls take it.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            account: self.account,
            device: self.device,
        }
    }
}

/// ms since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
