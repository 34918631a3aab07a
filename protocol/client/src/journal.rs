//! What a session must not forget between runs: token, store, cursors.
//!
//! The methods may block (a file, a database): they are called off the async
//! threads. When one returns, what it was given is on stable storage.

use fastchat_wire::{LogId, Secret};
use std::{
    collections::HashMap,
    error::Error,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A journal's or outbox's own failure: the disk is full, the file is gone.
pub type StorageError = Box<dyn Error + Send + Sync>;

/// What was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// The session's token; `None` before the first sign-in.
    pub token: Option<Secret>,
    /// The store that the cursors belong to; `None` before the first connection.
    pub store: Option<String>,
    /// For each log the last number that was processed.
    pub cursors: HashMap<LogId, u64>,
}

/// Held while a token is used and the next one is kept.
pub type Lease = Box<dyn Send>;

/// The caller's durable memory.
pub trait Journal: Send + Sync + 'static {
    /// Everything, at a session's start.
    ///
    /// # Errors
    /// The storage fails.
    fn load(&self) -> Result<Saved, StorageError>;

    /// The token, before each use: where several programs share a journal,
    /// another one may have been given a newer one meanwhile, and the use of a
    /// dead token ends the session for all of them.
    ///
    /// # Errors
    /// The storage fails.
    fn token(&self) -> Result<Option<Secret>, StorageError> {
        Ok(self.load()?.token)
    }

    /// Where several programs share a journal: holds the others back from
    /// using the token until the lease is dropped, so that none of them uses
    /// one that another has just replaced. Taken before [`Journal::token`],
    /// dropped after [`Journal::save_token`]; waits for its turn.
    ///
    /// # Errors
    /// The storage fails.
    fn lease(&self) -> Result<Option<Lease>, StorageError> {
        Ok(None)
    }

    /// A new token. It is used only after this returned.
    ///
    /// # Errors
    /// The storage fails.
    fn save_token(&self, token: &Secret) -> Result<(), StorageError>;

    /// Another store: its id is kept, and all cursors are forgotten in the same step.
    ///
    /// # Errors
    /// The storage fails.
    fn save_store(&self, store: &str) -> Result<(), StorageError>;

    /// A log was processed up to and with `seq`. Does nothing where `store`
    /// isn't the one of the last [`Journal::save_store`], or where the cursor
    /// is there already.
    ///
    /// A caller that keeps the cursor in the same transaction as what follows
    /// from the entry does so itself, and never calls [`crate::Session::processed`].
    ///
    /// # Errors
    /// The storage fails.
    fn save_cursor(&self, store: &str, log: LogId, seq: u64) -> Result<(), StorageError>;
}

/// A journal for tests and for programs that start over each time.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<Saved>);

impl MemoryJournal {
    /// A journal with a token to resume with.
    #[must_use]
    pub fn with_token(token: Secret) -> Self {
        Self(Mutex::new(Saved {
            token: Some(token),
            ..Saved::default()
        }))
    }

    /// What it has now.
    #[must_use]
    pub fn saved(&self) -> Saved {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Saved> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn load(&self) -> Result<Saved, StorageError> {
        Ok(self.saved())
    }

    fn save_token(&self, token: &Secret) -> Result<(), StorageError> {
        self.lock().token = Some(token.clone());
        Ok(())
    }

    fn save_store(&self, store: &str) -> Result<(), StorageError> {
        let mut saved = self.lock();
        saved.store = Some(store.to_owned());
        saved.cursors.clear();
        Ok(())
    }

    fn save_cursor(&self, store: &str, log: LogId, seq: u64) -> Result<(), StorageError> {
        let mut saved = self.lock();
        if saved.store.as_deref() == Some(store) {
            let cursor = saved.cursors.entry(log).or_default();
            *cursor = seq.max(*cursor);
        }
        Ok(())
    }
}
