//! Rates: buckets of `governor`, one, or one for each key.

use fastchat_wire::control::limits;
use governor::{
    InsufficientCapacity, NotUntil, Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{
        InMemoryState, NotKeyed, StateStore,
        keyed::{DefaultHasher, ShrinkableKeyedStateStore},
    },
};
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash},
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Keys of which something is remembered at a time. A key that is not known
/// where there is no room for it is refused: it may be one of many that somebody
/// makes up, and those of the others are not forgotten for it.
const KEYS_MAX: usize = 1 << 17;
const SHARDS: usize = 16;

/// The bucket of a spec's rate; `None` where there is no limit.
fn quota(rate: limits::Rate) -> Option<Quota> {
    // The control plane refuses rates that make no sense; to a broken spec there is no limit.
    let interval = Duration::try_from_secs_f64(rate.per_s.recip()).ok()?;
    let burst = NonZeroU32::new(rate.burst)?;
    Some(Quota::with_period(interval.max(Duration::from_nanos(1)))?.allow_burst(burst))
}

/// On the clock that tokio's timers are on.
type Limiter<K, S> = RateLimiter<K, S, MonotonicClock, NoOpMiddleware<Instant>>;

/// One bucket.
#[derive(Debug)]
pub(crate) struct Rate(Option<Limiter<NotKeyed, InMemoryState>>);

impl Rate {
    /// A full one.
    pub(crate) fn new(rate: limits::Rate) -> Self {
        Self(quota(rate).map(|quota| RateLimiter::direct_with_clock(quota, MonotonicClock)))
    }

    /// Takes `n`, or nothing where there aren't so many.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn take(&self, n: u32) -> Result<(), Duration> {
        let (Some(limiter), Some(cells)) = (&self.0, NonZeroU32::new(n)) else {
            return Ok(());
        };
        let taken = match limiter.check_n(cells) {
            // More than the bucket holds: the whole bucket.
            Err(InsufficientCapacity(burst)) => limiter.check_n(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN)),
            taken => taken,
        };
        taken.unwrap_or(Ok(())).map_err(|until| wait(&until))
    }
}

/// A bucket for each key.
#[derive(Debug)]
pub(crate) struct Rates<K: Copy + Eq + Hash>(Option<Limiter<K, Bounded<K>>>);

impl<K: Copy + Eq + Hash> Rates<K> {
    /// Full ones.
    pub(crate) fn new(rate: limits::Rate) -> Self {
        Self::bounded(rate, KEYS_MAX)
    }

    fn bounded(rate: limits::Rate, keys_max: usize) -> Self {
        Self(quota(rate).map(|quota| RateLimiter::new(quota, Bounded::new(keys_max), MonotonicClock)))
    }

    /// Takes `n` of the key's, or nothing where there aren't so many.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn take(&self, key: K, n: u32) -> Result<(), Duration> {
        let (Some(limiter), Some(cells)) = (&self.0, NonZeroU32::new(n)) else {
            return Ok(());
        };
        let taken = match limiter.check_key_n(&key, cells) {
            // More than the bucket holds: the whole bucket.
            Err(InsufficientCapacity(burst)) => limiter.check_key_n(&key, NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN)),
            taken => taken,
        };
        taken.unwrap_or(Ok(())).map_err(|until| wait(&until))
    }

    /// Forgets the keys whose buckets are full again.
    pub(crate) fn sweep(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    #[cfg(test)]
    fn keys(&self) -> usize {
        self.0.as_ref().map_or(0, RateLimiter::len)
    }
}

fn wait(until: &NotUntil<Instant>) -> Duration {
    until.wait_time_from(MonotonicClock.now())
}

/// Buckets by key, in shards, so that keys of different clients don't wait for one another.
#[derive(Debug)]
struct Bounded<K> {
    shards: Vec<Mutex<HashMap<K, Nanos>>>,
    shard_keys_max: usize,
    hasher: DefaultHasher,
}

impl<K: Copy + Eq + Hash> Bounded<K> {
    fn new(keys_max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            shard_keys_max: keys_max.div_ceil(SHARDS),
            hasher: DefaultHasher::default(),
        }
    }

    fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, HashMap<K, Nanos>>> {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K: Copy + Eq + Hash> StateStore for Bounded<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let shard = usize::try_from(self.hasher.hash_one(key)).unwrap_or(usize::MAX) % self.shards.len();
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let known = shard.get(key).copied();
        let (outcome, next) = match known {
            // An empty bucket, for somebody there is no room for.
            None if shard.len() >= self.shard_keys_max => f(Some(Nanos::from(FAR_NS)))?,
            known => f(known)?,
        };
        shard.insert(*key, next);
        Ok(outcome)
    }
}

/// A century from the start: nothing is due so late.
const FAR_NS: u64 = 100 * 365 * 86_400 * 1_000_000_000;

impl<K: Copy + Eq + Hash> ShrinkableKeyedStateStore<K> for Bounded<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.shards().for_each(|mut shard| shard.retain(|_, due| *due > drop_below));
    }

    fn shrink_to_fit(&self) {
        self.shards().for_each(|mut shard| shard.shrink_to_fit());
    }

    fn len(&self) -> usize {
        self.shards().map(|shard| shard.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: limits::Rate = limits::Rate { per_s: 0.01, burst: 3 };

    #[test]
    fn a_bucket_gives_its_burst_and_then_says_how_long_to_wait() {
        let rate = Rate::new(SLOW);
        assert_eq!(rate.take(2), Ok(()));
        assert!(rate.take(2).is_err(), "only one is left, and nothing is taken");
        assert_eq!(rate.take(1), Ok(()));
        let wait = rate.take(1).unwrap_err();
        assert!(wait > Duration::from_secs(90) && wait <= Duration::from_secs(100), "{wait:?}");
    }

    #[test]
    fn whatever_is_larger_than_the_bucket_takes_the_whole_bucket() {
        let rate = Rate::new(SLOW);
        assert_eq!(rate.take(1_000), Ok(()));
        assert!(rate.take(1).is_err());
    }

    #[test]
    fn without_a_limit_there_is_no_wait() {
        let rate = Rate::new(limits::Rate { per_s: 0.0, burst: 1 });
        let rates = Rates::new(limits::Rate { per_s: 0.0, burst: 1 });
        for _ in 0..100 {
            assert_eq!(rate.take(u32::MAX), Ok(()));
            assert_eq!(rates.take('a', u32::MAX), Ok(()));
        }
        assert_eq!(rates.keys(), 0);
    }

    #[test]
    fn keys_have_buckets_of_their_own() {
        let rates = Rates::new(SLOW);
        assert_eq!(rates.take('a', 3), Ok(()));
        assert!(rates.take('a', 1).is_err());
        assert_eq!(rates.take('b', 3), Ok(()));
    }

    #[test]
    fn keys_are_bounded_and_forgotten_once_their_buckets_are_full_again() {
        let rates = Rates::bounded(SLOW, SHARDS);
        let taken = (0..1_000).filter(|key| rates.take(*key, 1).is_ok()).count();
        assert_eq!((taken, rates.keys()), (SHARDS, SHARDS), "those beyond are refused, not remembered");
        rates.sweep();
        assert_eq!(rates.keys(), SHARDS, "they have taken something");
        let brief = Rates::bounded(limits::Rate { per_s: 1e6, burst: 1 }, SHARDS);
        (0..1_000).for_each(|key| _ = brief.take(key, 1));
        while brief.keys() > 0 {
            std::thread::sleep(Duration::from_millis(1));
            brief.sweep();
        }
    }
}
