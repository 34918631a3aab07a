//! Recording relays before a whole fleet: who comes through the balancer's
//! relay is sent to the servers' relays, so that everything is on tape.

use super::{
    super::harness::Fleet,
    liar::Lie,
    relay::{Connections, Manner, Relay, Target},
    tape::{Connection, Room},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The relays and what is on their tapes.
pub(super) struct Wire {
    relays: Vec<Relay>,
    connections: Connections,
    room: Arc<Room>,
}

impl Wire {
    /// Relays before the balancer and the servers of a fleet.
    pub(super) fn before(fleet: &Fleet) -> Self {
        Self::of(fleet, &Manner::AsItIs)
    }

    /// The same where all servers lie.
    pub(super) fn lying(fleet: &Fleet, lie: Lie) -> Self {
        Self::of(fleet, &Manner::Lying(lie))
    }

    fn of(fleet: &Fleet, servers: &Manner) -> Self {
        let mut wire = Self {
            relays: Vec::new(),
            connections: Connections::default(),
            room: Arc::default(),
        };
        let mut addresses = HashMap::new();
        for server in &fleet.line.servers {
            let ours = wire.add(&server.name, &server.address, servers.clone());
            addresses.insert(server.address.clone(), ours);
        }
        // The last one: nobody comes before the others stand.
        wire.add("balancer", fleet.balancer(), Manner::Addresses(Arc::new(addresses)));
        wire
    }

    fn add(&mut self, name: &str, address: &str, manner: Manner) -> String {
        let target = Target {
            name: name.to_owned(),
            address: address.to_owned(),
            manner,
        };
        let relay = Relay::start(target, Arc::clone(&self.connections), Arc::clone(&self.room));
        self.relays.push(relay);
        self.relays[self.relays.len() - 1].address.clone()
    }

    /// The balancer's address, for people.
    pub(super) fn balancer(&self) -> &str {
        &self.relays[self.relays.len() - 1].address
    }

    /// Open connections of each server that has any.
    pub(super) fn open(&self) -> BTreeMap<String, usize> {
        let mut open = BTreeMap::new();
        for connection in self
            .tapes()
            .iter()
            .filter(|connection| connection.is_open() && connection.to != "balancer")
        {
            *open.entry(connection.to.clone()).or_default() += 1;
        }
        open
    }

    /// The server with the most open connections.
    pub(super) fn busiest(&self) -> String {
        let open = self.open();
        open.into_iter().max_by_key(|(_, count)| *count).expect("somebody is online").0
    }

    /// All connections so far, in the order of their beginning.
    pub(super) fn tapes(&self) -> Vec<Arc<Connection>> {
        assert!(self.room.was_enough(), "the tapes are full: this run says too much to be recorded");
        self.connections.lock().expect("nobody panics with it").clone()
    }
}
