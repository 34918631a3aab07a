//! What no doorbell mends: sessions that ended, and conversations that began,
//! on another server while its messages were lost.
//!
//! Connections of ended sessions are ended; conversations that nobody here has
//! been told of become active, and are pushed from where their readers begin.

use super::{
    delivery::Delivery,
    hub::{Hub, Whose},
    peers::Peers,
};
use crate::store::{self, Store, accounts::SessionId};
use fastchat_wire::AccountId;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::sleep;

/// Sessions or accounts of one read.
const CHUNK: usize = 500;
/// After a read failed, it is tried again after this time.
const RETRY: Duration = Duration::from_secs(1);

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
    let identities: Vec<_> = hub.connections().iter().map(|online| online.identity).collect();
    let sessions: HashSet<SessionId> = identities.iter().map(|identity| identity.session).collect();
    for chunk in Vec::from_iter(sessions).chunks(CHUNK) {
        let living: HashSet<_> = store.living(chunk).await?.into_iter().collect();
        for ended in chunk.iter().filter(|session| !living.contains(session)) {
            hub.end(Whose::Session(*ended));
        }
    }
    let accounts: HashSet<AccountId> = identities.iter().map(|identity| identity.account).collect();
    for chunk in Vec::from_iter(accounts).chunks(CHUNK) {
        delivery.joined(store.memberships(chunk).await?).await;
    }
    Ok(())
}
