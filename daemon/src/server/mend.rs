//! What other servers did while their messages were lost: entries, ends of sessions, beginnings of conversations.
//!
//! Active logs are pushed up to where they stand; connections of ended sessions are ended; conversations that nobody
//! here has been told of become active, and are pushed from where their readers begin.
//!
//! It is looked for where a link to another server breaks, and every second while one is down: just when that server's
//! clients arrive here. So it is read bit by bit, with pauses, and what is as it should be answers no rows.

use super::{
    delivery::Delivery,
    hub::{Hub, Whose},
    peers::Peers,
};
use crate::store::{self, Store, accounts::SessionId};
use fastchat_wire::AccountId;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Logs, sessions or accounts of one read.
const CHUNK: usize = 500;
/// After each read, this many times as long nothing is read: a fifth of the time it takes at most.
const REST: u32 = 4;
/// After a read failed, it is tried again after this time.
const RETRY: Duration = Duration::from_millis(250);

/// Mends whenever messages were missed.
pub(super) async fn run(peers: Arc<Peers>, store: Arc<dyn Store>, hub: Arc<Hub>, delivery: Delivery) {
    loop {
        peers.missed().await;
        while let Err(error) = mend(&*store, &hub, &delivery).await {
            tracing::warn!(%error, "what other servers did meanwhile can't be read: trying again");
            sleep(RETRY).await;
        }
    }
}

async fn mend(store: &dyn Store, hub: &Hub, delivery: &Delivery) -> store::Result<()> {
    for known in delivery.active().await.chunks(CHUNK) {
        delivery.beyond(gently(store.beyond(known)).await?).await;
    }
    let identities: Vec<_> = hub.connections().iter().map(|online| online.identity).collect();
    let sessions: HashSet<SessionId> = identities.iter().map(|identity| identity.session).collect();
    for chunk in Vec::from_iter(sessions).chunks(CHUNK) {
        for ended in gently(store.ended(chunk)).await? {
            hub.end(Whose::Session(ended));
        }
    }
    let accounts: HashSet<AccountId> = identities.iter().map(|identity| identity.account).collect();
    for chunk in Vec::from_iter(accounts).chunks(CHUNK) {
        delivery.joined(gently(store.memberships(chunk)).await?).await;
    }
    Ok(())
}

/// A read, and a rest after it.
async fn gently<T>(read: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let answer = read.await;
    sleep(began.elapsed() * REST).await;
    answer
}
