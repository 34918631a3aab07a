//! Who is online here: connections by account, and pushing to them.

use super::context::Identity;
use crate::{net::outbox::Outbox, store::accounts::SessionId};
use bytes::Bytes;
use fastchat_wire::{AccountId, DeviceId};
use std::{
    collections::HashMap,
    ops::AddAssign,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Tells connections of this process apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// A signed-in connection.
#[derive(Debug)]
pub(crate) struct Online {
    pub(crate) connection: ConnectionId,
    /// When it signed in.
    pub(crate) since: Instant,
    pub(crate) identity: Identity,
    pub(crate) outbox: Arc<Outbox>,
    /// Ends the connection.
    pub(crate) end: CancellationToken,
}

/// What became of pushes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// Queued.
    pub(crate) queued: u64,
    /// Dropped: that connection is behind.
    pub(crate) dropped: u64,
}

impl AddAssign for Pushed {
    fn add_assign(&mut self, more: Self) {
        self.queued += more.queued;
        self.dropped += more.dropped;
    }
}

/// Whose connections are to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// One session's.
    Session(SessionId),
    /// One device's.
    Device(DeviceId),
    /// All of an account's.
    Account(AccountId),
}

/// Who is online here. Sharded, so that sign-ins don't hold up pushes.
#[derive(Debug)]
pub(crate) struct Hub {
    shards: Vec<Mutex<Shard>>,
}

type Shard = HashMap<AccountId, Vec<Arc<Online>>>;

const SHARDS: usize = 16;

impl Hub {
    /// Nobody.
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    fn shard(&self, account: AccountId) -> MutexGuard<'_, Shard> {
        // The last byte of a UUID is random, whatever its version.
        let index = usize::from(account.0[15]) % self.shards.len();
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection signed in. Beyond `most` of one account (0 is no limit) the
    /// oldest are ended: how many.
    pub(crate) fn attach(&self, online: Arc<Online>, most: u32) -> usize {
        let mut shard = self.shard(online.identity.account);
        let connections = shard.entry(online.identity.account).or_default();
        connections.push(online);
        let living = || connections.iter().filter(|online| !online.end.is_cancelled());
        let surplus = match usize::try_from(most) {
            Ok(most) if most > 0 => living().count().saturating_sub(most),
            _ => 0,
        };
        living().take(surplus).for_each(|oldest| oldest.end.cancel());
        surplus
    }

    /// A connection ended or logged out; true where it was the last of its account.
    pub(crate) fn detach(&self, account: AccountId, connection: ConnectionId) -> bool {
        let mut shard = self.shard(account);
        let Some(connections) = shard.get_mut(&account) else { return false };
        connections.retain(|online| online.connection != connection);
        let last = connections.is_empty();
        if last {
            shard.remove(&account);
        }
        last
    }

    /// True where the account has a connection here.
    pub(crate) fn is_online(&self, account: AccountId) -> bool {
        self.shard(account).contains_key(&account)
    }

    /// How many connections the account has here.
    pub(crate) fn connections_of(&self, account: AccountId) -> usize {
        self.shard(account).get(&account).map_or(0, Vec::len)
    }

    /// The accounts that are online here.
    pub(crate) fn accounts(&self) -> Vec<AccountId> {
        let lock = |shard: &Mutex<Shard>| {
            shard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .keys()
                .copied()
                .collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(lock).collect()
    }

    /// All connections, for a drain.
    pub(crate) fn connections(&self) -> Vec<Arc<Online>> {
        let lock = |shard: &Mutex<Shard>| {
            shard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .values()
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(lock).collect()
    }

    /// Pushes to an account's connections; `frame` says what each gets, if anything.
    pub(crate) fn push(&self, account: AccountId, mut frame: impl FnMut(&Online) -> Option<Bytes>) -> Pushed {
        let mut pushed = Pushed::default();
        if let Some(connections) = self.shard(account).get(&account) {
            for online in connections {
                if let Some(frame) = frame(online) {
                    match online.outbox.push(frame) {
                        true => pushed.queued += 1,
                        false => pushed.dropped += 1,
                    }
                }
            }
        }
        pushed
    }

    /// Ends connections.
    pub(crate) fn end(&self, whose: Whose) {
        let matches = |online: &Online| match whose {
            Whose::Session(session) => online.identity.session == session,
            Whose::Device(device) => online.identity.device == device,
            Whose::Account(account) => online.identity.account == account,
        };
        for online in self.connections().iter().filter(|online| matches(online)) {
            online.end.cancel();
        }
    }
}
