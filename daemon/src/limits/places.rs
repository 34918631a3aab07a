//! How much of something is held at a time, by key.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts of what is held. A key is there only while something of it is, so the
/// map is bounded by what there is to hold.
#[derive(Debug)]
pub(crate) struct Places<K>(Arc<Mutex<HashMap<K, u32>>>);

impl<K> Clone for Places<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// One that is held; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash> {
    places: Places<K>,
    key: K,
}

impl<K: Copy + Eq + Hash> Places<K> {
    /// Takes one, where fewer than `max` of the key are held; 0 is no limit.
    pub(crate) fn take(&self, key: K, max: u32) -> Option<Place<K>> {
        let mut held = self.lock();
        let count = held.entry(key).or_default();
        if max > 0 && *count >= max {
            return None;
        }
        *count += 1;
        drop(held);
        Some(Place { places: self.clone(), key })
    }
}

impl<K> Places<K> {
    /// No step is left half done: where a panic poisoned the lock, the counts are whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut held = self.places.lock();
        // Looked up by reference: the key stays in the map until its last place is given back.
        if let Some(count) = held.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_past_the_limit_is_refused_until_one_is_given_back() {
        let places = Places::default();
        let first = places.take('a', 2).unwrap();
        let _second = places.take('a', 2).unwrap();
        assert!(places.take('a', 2).is_none());
        assert!(places.take('b', 2).is_some(), "another key has places of its own");
        drop(first);
        assert!(places.take('a', 2).is_some());
        assert!(places.take('a', 0).is_some(), "no limit");
    }

    #[test]
    fn nothing_is_kept_of_keys_of_which_nothing_is_held() {
        let places = Places::default();
        let held: Vec<_> = (0..100).map(|key| places.take(key, 1).unwrap()).collect();
        assert!(places.take(7, 1).is_none());
        assert_eq!(places.lock().len(), 100);
        drop(held);
        assert!(places.lock().is_empty());
    }
}
