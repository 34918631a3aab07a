//! What one device keeps: whose it is, its groups, what was said, what is still to be done.
//!
//! ```text
//!  FOLDER/
//!    store.db, storage.key    the sealed store (fastchat-e2e): everything below
//!    session.lock             held while a token is used and the next one kept
//!    downloads/               files that were received
//!    uploads/, partial/       sealed files on their way: a restart goes on with them
//!
//!  identity   credential, device key, token        contacts   names, pinned identities
//!  trust      claims that differ from a pin, and the conversations that they stop
//!  devices    their names, those that were sent away
//!  rooms      conversations as people call them     history    what happened
//!  archive    what of it goes into the archive      restore    what comes from there
//!  compose    what is checked before a message is sealed
//!  tasks      wishes, invitations, outcomes         take       a log's entry -> group, history, tasks
//!  journal, outbox   the session's view of it
//! ```
//!
//! Each change is one transaction: after a crash all of it was done or nothing.
//! Several processes may use one profile (`listen` and `send`): a transaction is
//! the lock between them, and what one has taken the other finds taken.
//!
//! Synchronous: keep it off the async threads.

pub(crate) mod archive;
mod compose;
pub(crate) mod contacts;
pub(crate) mod devices;
mod fleet;
mod folder;
pub(crate) mod history;
pub(crate) mod identity;
mod journal;
pub(crate) mod marks;
pub(crate) mod outbox;
pub(crate) mod restore;
pub(crate) mod rooms;
mod rows;
pub(crate) mod take;
pub(crate) mod tasks;
pub(crate) mod trust;
pub(crate) mod uploads;

#[cfg(test)]
mod tests;

pub(crate) use compose::compose;
pub use fleet::BALANCER_DEFAULT;
pub use identity::Me;

use crate::{
    clock,
    problem::Problem,
    receipt::Receipt,
    record::{Record, Room},
    session::Ended,
};
use fastchat_e2e::{
    AccountId, ConversationId, EntryId, Store, StoreError,
    groups::Groups,
    store::{Reader, Writer},
};
use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};
use tasks::{Outcome, Wanted, Wish};
use tokio::sync::watch;

/// A device's folder, open.
pub struct Profile {
    folder: PathBuf,
    store: Store,
    account: OnceLock<AccountId>,
    live: Mutex<Live>,
    changes: watch::Sender<u64>,
}

/// What is in memory beside the store.
#[derive(Default)]
struct Live {
    /// Once this device has signed in.
    groups: Option<Groups>,
    /// Epochs that the server is known to have reached: what was sealed before isn't sent.
    epochs: HashMap<ConversationId, u64>,
    /// For each log the epochs that its last batch was sealed in: an answer is about those bytes, not about what they
    /// were sealed into meanwhile.
    offered: HashMap<ConversationId, HashMap<EntryId, u64>>,
}

/// What became of a wish that nobody waits for any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// It was settled at the last moment.
    Settled(Outcome),
    /// It is given up.
    Gone,
    /// Something that was done for it is on its way: it stays.
    UnderWay,
}

impl Profile {
    /// The folder that a person means: a path where there is a `/` in it, else a name under `~/.local/share/fastchat`.
    ///
    /// # Errors
    /// [`Problem::Usage`] for a name that can't be a folder's.
    pub fn folder_of(name: &str) -> Result<PathBuf, Problem> {
        folder::of(name)
    }

    /// Makes a new profile.
    ///
    /// # Errors
    /// `profile-in-use` where there is one; what the disk says.
    pub fn create(folder: &Path) -> Result<Self, Problem> {
        Ok(Self::with(folder, Store::create(folder)?))
    }

    /// Opens a profile.
    ///
    /// # Errors
    /// `profile-missing` where there is none; another version's; damaged; what the disk says.
    pub fn open(folder: &Path) -> Result<Self, Problem> {
        let profile = Self::with(folder, Store::open(folder)?);
        // What came due while no program ran.
        profile.sweep(clock::now_ms())?;
        Ok(profile)
    }

    /// Deletes messages that were to disappear by now; when the next one is, both in ms since 1970.
    pub(crate) fn sweep(&self, now_ms: u64) -> Result<Option<u64>, Problem> {
        loop {
            let next = self.read(history::next_due)?;
            if next.is_none_or(|next| next > now_ms) {
                return Ok(next);
            }
            self.write(|tx| history::sweep(tx, now_ms))?;
        }
    }

    fn with(folder: &Path, store: Store) -> Self {
        Self {
            folder: folder.to_owned(),
            store,
            account: OnceLock::new(),
            live: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where received files go.
    #[must_use]
    pub fn downloads(&self) -> PathBuf {
        self.folder.join("downloads")
    }

    /// Whose it is; none before the first sign-in was completed.
    ///
    /// # Errors
    /// [`Problem::Store`].
    pub fn me(&self) -> Result<Option<Me>, Problem> {
        self.read(|tx| Ok(identity::credential(tx)?.as_ref().map(Me::of)))
    }

    /// True while it holds a session's token.
    ///
    /// # Errors
    /// [`Problem::Store`].
    pub fn is_signed_in(&self) -> Result<bool, Problem> {
        self.read(|tx| Ok(identity::token(tx)?.is_some()))
    }

    /// True while the account's archive is still to be read, or the rest of it: [`crate::messenger::Messenger`] does that.
    ///
    /// # Errors
    /// [`Problem::Store`].
    pub fn is_restoring(&self) -> Result<bool, Problem> {
        self.read(|tx| Ok(restore::state(tx)?.is_some()))
    }

    /// What came of restoring the account's archive, once that is done.
    ///
    /// # Errors
    /// [`Problem::Store`].
    pub fn receipt(&self) -> Result<Option<Receipt>, Problem> {
        self.read(restore::receipt)
    }

    /// All conversations that this device knows, oldest first.
    ///
    /// # Errors
    /// `not-signed-in`; [`Problem::Store`].
    pub fn rooms(&self) -> Result<Vec<Room>, Problem> {
        self.look(|groups, tx| rooms::rooms(tx, groups))
    }

    /// One of them.
    ///
    /// # Errors
    /// `not-signed-in`; [`Problem::Store`].
    pub fn room(&self, conversation: ConversationId) -> Result<Option<Room>, Problem> {
        self.look(|groups, tx| rooms::room(tx, groups, conversation))
    }

    /// The newest `limit` records of a conversation, oldest first.
    ///
    /// # Errors
    /// [`Problem::Store`].
    pub fn history(&self, conversation: ConversationId, limit: usize) -> Result<Vec<Record>, Problem> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        self.read(|tx| history::newest(tx, self.account(tx)?, conversation, limit))
    }

    /// The record of an entry, by its number.
    ///
    /// # Errors
    /// [`Problem::Store`].
    pub fn record_at(&self, conversation: ConversationId, seq: u64) -> Result<Option<Record>, Problem> {
        let found = self.read(|tx| history::at(tx, self.account(tx)?, conversation, seq))?;
        Ok(found.into_iter().find(|record| record.entry.is_some()))
    }

    /// At most `limit` records that arrived after this one, over all conversations, in the order of arrival.
    ///
    /// # Errors
    /// [`Problem::Store`].
    pub fn arrived_after(&self, arrival: u64, limit: usize) -> Result<Vec<Record>, Problem> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        self.read(|tx| history::arrived_after(tx, self.account(tx)?, arrival, limit))
    }

    /// The last arrival that a person was shown.
    ///
    /// # Errors
    /// [`Problem::Store`].
    pub fn shown(&self) -> Result<u64, Problem> {
        self.read(history::shown)
    }

    /// Moves that mark forward; never back. It outlives this process at once, a power cut a little later.
    ///
    /// # Errors
    /// [`Problem::Store`].
    pub fn save_shown(&self, arrival: u64) -> Result<(), Problem> {
        self.store.write_lazily(|tx| history::save_shown(tx, arrival))
    }

    /// A wish is over. Of a conversation that was to be founded, and is not, nothing stays.
    pub(crate) fn fulfilled(&self, id: EntryId, wish: &Wish, outcome: &Outcome) -> Result<(), Problem> {
        let conversation = wish.conversation;
        let founding = matches!(wish.what, Wanted::Direct(_) | Wanted::Group(..));
        self.change(|groups, tx| {
            tasks::fulfilled(tx, id, outcome)?;
            let refused = matches!(outcome, Outcome::Refused { .. });
            if founding
                && refused
                && matches!(groups.mls_epoch(tx, conversation), Ok(0))
                && groups.commit_under_way(tx, conversation)?.is_none()
            {
                take::abandon_founding(groups, tx, conversation)?;
                rooms::forget(tx, conversation)?;
            }
            Ok(())
        })
    }

    /// Gives a wish up, unless something that was done for it is on its way.
    pub(crate) fn withdraw(&self, id: EntryId) -> Result<Withdrawn, Problem> {
        self.change(|groups, tx| {
            if let Some(outcome) = tasks::outcome(tx, id)? {
                return Ok(Withdrawn::Settled(outcome));
            }
            let Some(wish) = tasks::find_wish(tx, id)? else {
                return Ok(Withdrawn::Gone);
            };
            if groups.commit_under_way(tx, wish.conversation)?.is_some() {
                return Ok(Withdrawn::UnderWay);
            }
            tasks::forget_wish(tx, id)?;
            Ok(Withdrawn::Gone)
        })
    }

    /// Grows whenever this process has changed something.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Something has changed that others wait for.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Reads one state.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Reader<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
        self.store.read(work)
    }

    /// Changes it, groups left alone.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Writer<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
        self.store.write(work)
    }

    /// Reads one state, groups and all.
    pub(crate) fn look<T>(&self, work: impl FnOnce(&mut Groups, &Reader<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
        let mut live = self.live()?;
        let groups = live.groups()?;
        self.store.read(|tx| work(groups, tx))
    }

    /// Changes it, groups and all.
    pub(crate) fn change<T>(&self, work: impl FnOnce(&mut Groups, &Writer<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
        let done = {
            let mut live = self.live()?;
            let groups = live.groups()?;
            self.store.write(|tx| work(groups, tx))
        };
        self.changed();
        done
    }

    /// Does something with it off the async threads.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let profile = Arc::clone(self);
        off_thread(move || work(&profile)).await
    }

    /// A number that changes when another process has changed the profile.
    pub(crate) fn foreign_changes(&self) -> Result<u64, StoreError> {
        self.store.foreign_changes()
    }

    /// Whose it is. A profile stays the same account's: that is looked up, and its signature checked, once.
    fn account(&self, tx: &Reader<'_>) -> Result<Option<AccountId>, Problem> {
        if let Some(account) = self.account.get() {
            return Ok(Some(*account));
        }
        let found = identity::credential(tx)?.map(|credential| credential.subject().account);
        Ok(found.map(|account| *self.account.get_or_init(|| account)))
    }

    /// The groups, loaded at first use.
    fn live(&self) -> Result<MutexGuard<'_, Live>, Problem> {
        // A panic within a transaction has undone it; the groups find out by themselves.
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if live.groups.is_none() {
            let found = self.read(|tx| Ok((identity::credential(tx)?, identity::device_key(tx)?)))?;
            if let (Some(credential), Some(key)) = found {
                live.groups = Some(Groups::new(&credential, &key)?);
            }
        }
        Ok(live)
    }
}

impl Live {
    fn groups(&mut self) -> Result<&mut Groups, Problem> {
        self.groups.as_mut().ok_or(Problem::Ended(Ended::NoToken))
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Runs what may block off the async threads.
pub(crate) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Problem::Ended(Ended::Closed)),
        },
    }
}
