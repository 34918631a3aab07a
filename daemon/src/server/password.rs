//! The server's own hashing of `auth` (PROTOCOL.md §4): slow on purpose, so it
//! is kept off the async threads, at most one computation per core, with a
//! bounded queue in front.
//!
//! ```text
//!  hash, verify ──> places (64 per core, else overloaded) ──> turns (one per core) ──> blocking thread
//! ```
//!
//! A caller that goes away leaves the queue. The 19 MiB that each computation
//! needs are kept and used again.

mod argon;

use super::handlers::Refusal;
use argon::{Hash, Memory};
use fastchat_wire::{Code, ErrorBody, Secret32};
use std::{
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Callers that may wait or compute, for each core.
const PLACES_PER_CORE: usize = 64;

/// What an `overloaded` client is told to wait: about half of a full queue.
const RETRY_AFTER_MS: u64 = 1_000;

/// Hashes and verifies `auth` and `recovery-auth`.
pub(crate) struct Passwords {
    /// One for each caller that waits or computes.
    places: Arc<Semaphore>,
    places_max: usize,
    /// One for each core.
    turns: Arc<Semaphore>,
    /// Argon2's memory, one for each turn that was ever taken at once.
    memories: Arc<Mutex<Vec<Memory>>>,
    /// Verified against where there is nothing to verify against.
    decoy: Hash,
    /// Computations that have begun.
    computed: AtomicU64,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords")
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

impl Passwords {
    /// One computation at a time for each of `cores`.
    ///
    /// # Errors
    /// The operating system gives no randomness.
    pub(crate) fn new(cores: NonZeroUsize) -> Result<Self, argon::Error> {
        let places_max = cores.get().saturating_mul(PLACES_PER_CORE).min(Semaphore::MAX_PERMITS);
        Ok(Self {
            places: Arc::new(Semaphore::new(places_max)),
            places_max,
            turns: Arc::new(Semaphore::new(cores.get().min(places_max))),
            memories: Arc::default(),
            decoy: Hash::decoy()?,
            computed: AtomicU64::new(0),
        })
    }

    /// Callers that wait or compute now.
    pub(crate) fn waiting(&self) -> usize {
        self.places_max - self.places.available_permits()
    }

    /// Computations so far: what sign-in costs the machine.
    pub(crate) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// A PHC string of Argon2id over `auth`, with a salt of its own.
    ///
    /// # Errors
    /// `overloaded`; `internal` for a fault of ours.
    pub(crate) async fn hash(&self, auth: &Secret32) -> Result<String, Refusal> {
        let auth = auth.clone();
        self.run(move |memory| argon::hash(&auth, memory)).await
    }

    /// True where `hash` is `auth`'s. Without a hash it is false, after the same work.
    ///
    /// # Errors
    /// `overloaded`; `internal` where the hash can't be read.
    pub(crate) async fn verify(&self, auth: &Secret32, hash: Option<&str>) -> Result<bool, Refusal> {
        let auth = auth.clone();
        let known = hash.is_some();
        let hash = match hash {
            Some(text) => Hash::parse(text).map_err(|e| Refusal::internal(&e))?,
            None => self.decoy.clone(),
        };
        let same = self.run(move |memory| hash.is_of(&auth, memory)).await?;
        Ok(same && known)
    }

    async fn run<T, F>(&self, compute: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut Memory) -> Result<T, argon::Error> + Send + 'static,
    {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| overloaded())?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|e| Refusal::internal(&e))?;
        self.computed.fetch_add(1, Ordering::Relaxed);
        let memories = Arc::clone(&self.memories);
        // Place and turn go with the computation, which runs on even where the caller goes away.
        let computed = spawn_blocking(move || {
            let mut memory = locked(&memories).pop().unwrap_or_default();
            let computed = compute(&mut memory);
            locked(&memories).push(memory);
            drop((turn, place));
            computed
        });
        computed
            .await
            .map_err(|e| Refusal::internal(&e))?
            .map_err(|e| Refusal::internal(&e))
    }
}

/// The list is whole at every moment, so a panic elsewhere does not spoil it.
fn locked(memories: &Mutex<Vec<Memory>>) -> std::sync::MutexGuard<'_, Vec<Memory>> {
    memories.lock().unwrap_or_else(PoisonError::into_inner)
}

fn overloaded() -> Refusal {
    ErrorBody::retry_after(
        Code::Overloaded,
        "too many people are signing in at once: try again in a moment",
        RETRY_AFTER_MS,
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(cores: usize) -> Passwords {
        Passwords::new(NonZeroUsize::new(cores).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_hash_is_of_its_own_auth_only() {
        let passwords = passwords(2);
        let auth = Secret32::new([1; 32]);
        let hash = passwords.hash(&auth).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify(&auth, Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&Secret32::new([2; 32]), Some(&hash)).await.unwrap());
        assert_ne!(hash, passwords.hash(&auth).await.unwrap(), "each has a salt of its own");
        assert_eq!(passwords.waiting(), 0);
    }

    #[tokio::test]
    async fn nothing_verifies_where_there_is_no_hash() {
        assert!(!passwords(1).verify(&Secret32::new([1; 32]), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_that_cannot_be_read_is_a_fault_of_ours() {
        let refusal = passwords(1).verify(&Secret32::new([1; 32]), Some("plain")).await.unwrap_err();
        assert_eq!(refusal.error.code, Code::Internal);
    }

    #[tokio::test]
    async fn beyond_the_queue_callers_are_told_to_come_back() {
        let passwords = Arc::new(passwords(1));
        // Nobody gets a turn, so that the queue stays full.
        let turn = Arc::clone(&passwords.turns).acquire_owned().await.unwrap();
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..PLACES_PER_CORE {
            let passwords = Arc::clone(&passwords);
            callers.spawn(async move { passwords.verify(&Secret32::new([1; 32]), None).await });
        }
        while passwords.waiting() < PLACES_PER_CORE {
            tokio::task::yield_now().await;
        }
        let refusal = passwords.hash(&Secret32::new([1; 32])).await.unwrap_err();
        assert_eq!(
            (refusal.error.code, refusal.error.retry_after_ms),
            (Code::Overloaded, Some(RETRY_AFTER_MS))
        );
        // Callers that go away make room.
        callers.shutdown().await;
        drop(turn);
        assert_eq!(passwords.waiting(), 0);
        passwords.hash(&Secret32::new([1; 32])).await.unwrap();
        assert_eq!(locked(&passwords.memories).len(), 1, "its memory is kept for the next");
    }
}
