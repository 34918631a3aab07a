//! A member whose commits are no good: for anybody, or for all others.

use super::{People, person::Person, raw_device::RawDevice};
use fastchat_client::{Fault, Outbox, outbox::Payload, profile::Profile};
use fastchat_wire::chat::commit::{Commit, CommitLists};

/// Such a member, on a device that the program runs on, too.
pub(super) struct Unruly<'a> {
    person: Person,
    raw: RawDevice<'a>,
}

impl<'a> Unruly<'a> {
    /// Registers.
    pub(super) fn registered(people: &'a People, name: &str) -> Self {
        let person = people.newcomer(name);
        let registered = person.ok(&["register", name]).remove(0);
        let device = registered["device"].as_str().expect("a device");
        Self {
            raw: RawDevice::of(people, &person, device),
            person,
        }
    }

    /// As others write them.
    pub(super) fn at(&self) -> String {
        self.person.at()
    }

    /// Commits something that is no commit, with something that is no GroupInfo.
    pub(super) fn commits_rubbish(&mut self, log: &str) {
        let epoch = self.raw.epoch(log);
        let rubbish = [
            &serde_json::to_vec(&CommitLists::default()).expect("JSON")[..],
            b"a commit",
            b"",
            b"group info",
        ];
        let commit = Commit {
            conversation: log.parse().expect("a conversation's id"),
            entry: super::super::client::new_id(),
            welcome_entry: None,
            epoch,
        };
        self.raw.commit(&commit, &rubbish);
    }

    /// Commits what the program makes of a command, with a tag that is good for nobody: by its public side it is good,
    /// and members can't apply it.
    pub(super) fn commits_what_opens_for_nobody(&mut self, log: &str, arguments: &[&str]) {
        self.person.dies_at(Fault::Committed, arguments);
        let profile = Profile::open(&self.person.profile).expect("the program is dead");
        let log = log.parse().expect("a conversation's id");
        let made = profile.first(log, 64, 1 << 20).expect("it was kept").remove(0);
        let Payload::Commit { epoch, pieces, .. } = made.payload else {
            panic!("a commit was kept");
        };
        let mut commit = pieces.commit.to_vec();
        *commit.last_mut().expect("a commit has bytes") ^= 1;
        let lists = serde_json::to_vec(&pieces.lists).expect("JSON");
        let request = Commit {
            conversation: log,
            entry: made.entry,
            welcome_entry: None,
            epoch,
        };
        self.raw.commit(&request, &[&lists, &commit, &pieces.welcome, &pieces.group_info]);
    }
}
