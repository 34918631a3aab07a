//! Telling people who came and who went: see [`crate::server::watch`].

use super::Peers;
use crate::server::{
    hub::{ConnectionId, Pushed},
    watch::{Told, Watch},
};
use fastchat_wire::{AccountId, Block, EventName, chat::presence::Presence, encode_event};
use std::sync::{MutexGuard, PoisonError};
use tokio::time::{Instant, sleep_until};

impl Peers {
    fn watch_list(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True where the account is signed in anywhere, as far as this server knows.
    fn is_online(&self, account: AccountId) -> bool {
        self.hub.is_online(account) || self.presence().is_online(account)
    }

    /// These may have come or gone.
    pub(super) fn note(&self, accounts: &[AccountId]) {
        if self.watch_list().note(accounts) {
            self.watched.notify_one();
        }
    }

    /// Anybody may have come or gone.
    pub(super) fn note_all(&self) {
        self.watch_list().note_all();
        self.watched.notify_one();
    }

    /// An account asked for its conversations on that connection: it is told of
    /// these from now on, and at once how each of them stands.
    pub(crate) fn watch(&self, watcher: AccountId, connection: ConnectionId, contacts: &[AccountId]) {
        let mut watch = self.watch_list();
        // Pushed under the lock, so that no later change comes before it.
        for (account, online) in watch.watch(watcher, contacts, |account| self.is_online(account)) {
            self.push(account, online, &[watcher], |to| to == connection);
        }
        self.count(&watch);
    }

    /// A direct conversation of these two began.
    pub(crate) fn began(&self, pair: [AccountId; 2]) {
        let mut watch = self.watch_list();
        for told in watch.began(pair, |account| self.is_online(account)) {
            self.tell_watchers(&told);
        }
        self.count(&watch);
    }

    /// An account's last connection here ended; where it is back already, it goes on being told.
    pub(crate) fn unwatch(&self, watcher: AccountId) {
        let mut watch = self.watch_list();
        if !self.hub.is_online(watcher) {
            watch.unwatch(watcher);
            self.count(&watch);
        }
    }

    /// Tells who came and who went, for ever.
    pub(crate) async fn tell_presence(&self) {
        loop {
            let due = {
                let mut watch = self.watch_list();
                for told in watch.look(Instant::now(), |account| self.is_online(account)) {
                    self.tell_watchers(&told);
                }
                watch.due()
            };
            tokio::select! {
                () = self.watched.notified() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    fn count(&self, watch: &Watch) {
        self.metrics.presence_watched.set(i64::try_from(watch.len()).unwrap_or(i64::MAX));
    }

    fn tell_watchers(&self, told: &Told) {
        self.push(told.account, told.online, &told.to, |_| true);
    }

    fn push(&self, account: AccountId, online: bool, to: &[AccountId], is_for: impl Fn(ConnectionId) -> bool) {
        let frame = match encode_event(None, &Presence { account, online }, &Block::none()) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(%error, "an event can't be written");
                return;
            }
        };
        let mut pushed = Pushed::default();
        for watcher in to {
            pushed += self.hub.push(*watcher, |to| is_for(to.connection).then(|| frame.clone()));
        }
        self.metrics.hints(EventName::Presence, pushed);
    }
}
