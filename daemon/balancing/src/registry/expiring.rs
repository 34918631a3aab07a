//! A map whose entries have a time to go.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

/// Entries by key, and by the time (ms, of the caller's clock) from which they are over.
#[derive(Debug)]
pub(super) struct Expiring<K, V> {
    entries: HashMap<K, (u64, V)>,
    deadlines: BTreeSet<(u64, K)>,
}

impl<K, V> Default for Expiring<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            deadlines: BTreeSet::new(),
        }
    }
}

impl<K: Copy + Eq + Hash + Ord, V> Expiring<K, V> {
    /// Adds an entry; gives back the one that it replaces.
    pub(super) fn insert(&mut self, key: K, value: V, expires_at: u64) -> Option<V> {
        let replaced = self.remove(key);
        self.entries.insert(key, (expires_at, value));
        self.deadlines.insert((expires_at, key));
        replaced
    }

    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        let (expires_at, value) = self.entries.remove(&key)?;
        self.deadlines.remove(&(expires_at, key));
        Some(value)
    }

    /// Takes an entry that is over at `now`, the one that is over for longest first.
    pub(super) fn pop_expired(&mut self, now: u64) -> Option<(K, V)> {
        let (expires_at, key) = *self.deadlines.first()?;
        if now < expires_at {
            return None;
        }
        self.remove(key).map(|value| (key, value))
    }

    /// Takes the entry that would be over first.
    pub(super) fn pop_first(&mut self) -> Option<(K, V)> {
        let (_, key) = *self.deadlines.first()?;
        self.remove(key).map(|value| (key, value))
    }

    pub(super) fn get(&self, key: K) -> Option<&V> {
        self.entries.get(&key).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.entries.get_mut(&key).map(|(_, value)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut().map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_go_in_the_order_of_their_times_and_not_before() {
        let mut map = Expiring::default();
        map.insert('a', 1, 30);
        map.insert('b', 2, 10);
        map.insert('c', 3, 20);
        assert_eq!(map.pop_expired(9), None);
        assert_eq!(map.pop_expired(25), Some(('b', 2)));
        assert_eq!(map.pop_expired(25), Some(('c', 3)));
        assert_eq!(map.pop_expired(25), None);
        assert_eq!(map.pop_first(), Some(('a', 1)));
        assert_eq!(map.pop_first(), None);
    }

    #[test]
    fn an_entry_put_in_again_has_only_its_new_time() {
        let mut map = Expiring::default();
        map.insert('a', 1, 10);
        assert_eq!(map.insert('a', 2, 20), Some(1));
        assert_eq!(map.pop_expired(15), None);
        assert_eq!(map.len(), 1);
        assert_eq!(map.remove('a'), Some(2));
        assert_eq!(map.pop_expired(99), None);
    }
}
