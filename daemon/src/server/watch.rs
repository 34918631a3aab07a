//! Who is told of whose coming and going. Pure: time is passed in.
//!
//! ```text
//!          comes                    goes
//!   Gone ─────────> Here ───────────────────> Leaving ── GONE_AFTER ──> Gone
//!     told: online   ^                           │        told: offline
//!                    └───────── comes ───────────┘ nobody is told
//! ```
//!
//! An account is told of the accounts that it shares a direct conversation
//! with. Where those are is known to every server ([`super::presence`]), so
//! that telling needs no message between servers: each has an index of who is
//! watched by whom among those that are online on it.

use fastchat_wire::{
    AccountId,
    limits::{PRESENCE_ACCOUNTS_MAX, PRESENCE_GONE_MS},
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// Whoever is back within this time was never away: a client that changes
/// servers, or whose server died, does not flicker.
pub(crate) const GONE_AFTER: Duration = Duration::from_millis(PRESENCE_GONE_MS);

/// Who watches whom on this server, and what they were told.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    watched: HashMap<AccountId, Watched>,
    /// Whom each account that is online here watches.
    watching: HashMap<AccountId, HashSet<AccountId>>,
    /// Watched ones that may have come or gone.
    changed: HashSet<AccountId>,
    /// Those that are leaving, the earliest first.
    leaving: VecDeque<(Instant, AccountId)>,
}

#[derive(Debug)]
struct Watched {
    state: State,
    by: HashSet<AccountId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Gone,
    Here,
    /// Went; `Gone` from then on.
    Leaving(Instant),
}

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// Of whom.
    pub(crate) account: AccountId,
    /// Came, or went.
    pub(crate) online: bool,
    /// To whom.
    pub(crate) to: Vec<AccountId>,
}

impl Watch {
    /// An account is told of these from now on; of no more than
    /// [`PRESENCE_ACCOUNTS_MAX`] in all. Answers how each of them stands.
    pub(crate) fn watch(
        &mut self,
        watcher: AccountId,
        contacts: &[AccountId],
        is_online: impl Fn(AccountId) -> bool,
    ) -> Vec<(AccountId, bool)> {
        let watching = self.watching.entry(watcher).or_default();
        let mut standing = Vec::with_capacity(contacts.len());
        for contact in contacts.iter().copied().filter(|contact| *contact != watcher) {
            if !watching.contains(&contact) {
                if watching.len() >= PRESENCE_ACCOUNTS_MAX {
                    continue;
                }
                watching.insert(contact);
            }
            let watched = self.watched.entry(contact).or_insert_with(|| Watched {
                state: if is_online(contact) { State::Here } else { State::Gone },
                by: HashSet::new(),
            });
            watched.by.insert(watcher);
            standing.push((contact, watched.state != State::Gone));
        }
        standing
    }

    /// A direct conversation began: whoever of the two is told of others is told of this one too.
    pub(crate) fn began(&mut self, pair: [AccountId; 2], is_online: impl Fn(AccountId) -> bool) -> Vec<Told> {
        let [one, other] = pair;
        let mut told = Vec::new();
        for (watcher, contact) in [(one, other), (other, one)] {
            if self.watching.contains_key(&watcher) {
                let standing = self.watch(watcher, &[contact], &is_online);
                told.extend(standing.into_iter().map(|(account, online)| Told {
                    account,
                    online,
                    to: vec![watcher],
                }));
            }
        }
        told
    }

    /// Nobody of that account is here any more.
    pub(crate) fn unwatch(&mut self, watcher: AccountId) {
        for contact in self.watching.remove(&watcher).unwrap_or_default() {
            if let Some(watched) = self.watched.get_mut(&contact) {
                watched.by.remove(&watcher);
                if watched.by.is_empty() {
                    self.watched.remove(&contact);
                    self.changed.remove(&contact);
                }
            }
        }
    }

    /// These may have come or gone; true where one of them is watched.
    pub(crate) fn note(&mut self, accounts: &[AccountId]) -> bool {
        let watched = accounts.iter().filter(|account| self.watched.contains_key(account));
        let before = self.changed.len();
        self.changed.extend(watched);
        self.changed.len() > before
    }

    /// Anybody may have come or gone.
    pub(crate) fn note_all(&mut self) {
        self.changed.extend(self.watched.keys());
    }

    /// Looks at those that changed, and at those whose time to come back is over.
    pub(crate) fn look(&mut self, now: Instant, is_online: impl Fn(AccountId) -> bool) -> Vec<Told> {
        let mut told = Vec::new();
        for account in std::mem::take(&mut self.changed) {
            let Some(watched) = self.watched.get_mut(&account) else { continue };
            match (watched.state, is_online(account)) {
                (State::Gone, true) => {
                    watched.state = State::Here;
                    told.push(watched.told(account, true));
                }
                (State::Leaving(_), true) => watched.state = State::Here,
                (State::Here, false) => {
                    let due = now + GONE_AFTER;
                    watched.state = State::Leaving(due);
                    self.leaving.push_back((due, account));
                }
                (State::Here, true) | (State::Gone | State::Leaving(_), false) => {}
            }
        }
        while let Some((due, account)) = self.leaving.pop_front_if(|(due, _)| *due <= now) {
            // One that came back is here, or has another time.
            if let Some(watched) = self.watched.get_mut(&account)
                && watched.state == State::Leaving(due)
            {
                watched.state = State::Gone;
                told.push(watched.told(account, false));
            }
        }
        told
    }

    /// When to look at the latest, without a change.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.leaving.front().map(|(due, _)| *due)
    }

    /// Accounts that somebody here is told of.
    pub(crate) fn len(&self) -> usize {
        self.watched.len()
    }
}

impl Watched {
    fn told(&self, account: AccountId, online: bool) -> Told {
        Told {
            account,
            online,
            to: self.by.iter().copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
