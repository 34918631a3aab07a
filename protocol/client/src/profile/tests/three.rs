//! Three people in a group.

use super::{archive::archiving, world::*};
use crate::record::{Named, Record};
use fastchat_e2e::{EntryId, content::Body, mls::Kind};

/// Alice, the admin, with bob and carol.
pub(super) struct Three {
    pub(super) alice: Device,
    pub(super) bob: Device,
    pub(super) carol: Device,
    pub(super) log: Log,
}

impl Three {
    pub(super) fn meet() -> Self {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(Device::new);
        archiving(&alice);
        let mut log = Log::new();
        alice.found(log.id, Kind::Group, &[&bob, &carol]);
        log.send(&alice);
        let three = Self { alice, bob, carol, log };
        three.all().into_iter().for_each(|one| one.read(&three.log));
        three
    }

    pub(super) fn all(&self) -> [&Device; 3] {
        [&self.alice, &self.bob, &self.carol]
    }

    /// Somebody says something, and everybody reads it.
    pub(super) fn says(&mut self, who: fn(&Self) -> &Device, body: Body) -> EntryId {
        let entry = who(self).tell(self.log.id, body);
        self.deliver(who);
        entry
    }

    pub(super) fn deliver(&mut self, who: fn(&Self) -> &Device) {
        let empty = Log::of(self.log.id);
        let mut log = std::mem::replace(&mut self.log, empty);
        log.send(who(self));
        self.log = log;
        self.all().into_iter().for_each(|one| one.read(&self.log));
    }

    pub(super) fn seen(&self, by: &Device, entry: EntryId) -> Record {
        let named = Named::Id(entry.to_string());
        by.profile.message(self.log.id, &named, false).unwrap()
    }
}

pub(super) fn alice(three: &Three) -> &Device {
    &three.alice
}

pub(super) fn bob(three: &Three) -> &Device {
    &three.bob
}

pub(super) fn carol(three: &Three) -> &Device {
    &three.carol
}
