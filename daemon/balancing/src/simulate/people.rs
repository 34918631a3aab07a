//! Who is where, in a simulation.

use rand::{RngExt, rngs::StdRng};
use std::collections::{BTreeMap, HashMap};

/// A client.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// Its number, where the trace names it.
    pub(super) client: Option<u64>,
    pub(super) hint: Option<String>,
    /// Where it is, or was.
    pub(super) server: String,
}

/// All clients.
#[derive(Debug, Default)]
pub(super) struct People {
    here: Vec<Person>,
    /// Positions of those that are named.
    named: HashMap<u64, usize>,
    /// Those who come back, by time and in order.
    away: BTreeMap<(u64, u64), Person>,
    /// When the named ones of them do.
    awaited: HashMap<u64, (u64, u64)>,
    lost: u64,
}

impl People {
    pub(super) fn come(&mut self, person: Person) {
        if let Some(client) = person.client {
            self.named.insert(client, self.here.len());
        }
        self.here.push(person);
    }

    /// Somebody leaves: the one that is named, or anybody. `None` where nobody on a server does.
    pub(super) fn leave(&mut self, client: Option<u64>, rng: &mut StdRng) -> Option<Person> {
        let at = match client {
            Some(client) => {
                if let Some(awaited) = self.awaited.remove(&client) {
                    self.away.remove(&awaited);
                }
                *self.named.get(&client)?
            }
            None if self.here.is_empty() => return None,
            None => rng.random_range(0..self.here.len()),
        };
        Some(self.take(at))
    }

    /// All who are on a server leave it.
    pub(super) fn lose(&mut self, server: &str) -> Vec<Person> {
        let mut lost = Vec::new();
        for at in (0..self.here.len()).rev() {
            if self.here[at].server == server {
                lost.push(self.take(at));
            }
        }
        lost
    }

    /// Somebody comes back at that time.
    pub(super) fn come_back(&mut self, at: u64, person: Person) {
        self.lost += 1;
        let when = (at, self.lost);
        if let Some(client) = person.client {
            self.awaited.insert(client, when);
        }
        self.away.insert(when, person);
    }

    /// The next who comes back by that time, and when.
    pub(super) fn back_by(&mut self, until: u64) -> Option<(u64, Person)> {
        let next = self.away.first_entry().filter(|next| next.key().0 <= until)?;
        let ((at, _), person) = next.remove_entry();
        if let Some(client) = person.client {
            self.awaited.remove(&client);
        }
        Some((at, person))
    }

    fn take(&mut self, at: usize) -> Person {
        let person = self.here.swap_remove(at);
        if let Some(client) = person.client {
            self.named.remove(&client);
        }
        if let Some(client) = self.here.get(at).and_then(|moved| moved.client) {
            self.named.insert(client, at);
        }
        person
    }
}
