//! Ours and theirs in one group, without a network: what needs a commit that the program `fastchat` makes only once a
//! week, or one that it refuses.

#![expect(clippy::unwrap_used, reason = "a test's devices and server fail loudly")]

#[expect(dead_code, reason = "it is the world of our own groups' tests, of which this needs a part")]
#[path = "../../e2e/tests/groups/world.rs"]
mod world;

use fastchat_e2e::{
    Content, ConversationId, Credential, DeviceId, DeviceKey,
    content::Body,
    groups::{Error, Stranding, What},
    log::{KIND_COMMIT, KIND_MESSAGE, KIND_WELCOME},
    mls::{Charter, GroupError, Intent, Invite, Kind, MemberDevice},
};
use fastchat_interop::{Change, Implementation, Made, Mls};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use world::*;

const MENDED: [Implementation; 2] = [Implementation::OpenMls, Implementation::TsMls];

/// A device that runs another implementation. It compares no heads and names none.
struct Stranger {
    mls: Box<dyn Mls>,
    me: MemberDevice,
    seq: u64,
}

impl Stranger {
    fn of(person: &Person, implementation: Implementation) -> Self {
        let (device, key) = (DeviceId(rand::random()), DeviceKey::random(&mut rand::rng()));
        let credential: Credential = person.credential(device, &key);
        Self {
            mls: implementation.begin(&credential, &key).unwrap(),
            me: MemberDevice {
                account: person.account,
                device,
            },
            seq: 0,
        }
    }

    /// Makes a commit that stands in the log at once, and applies it.
    fn commit(&mut self, chat: ConversationId, log: &mut Log, change: &Change) {
        self.follow(chat, log);
        let made = self.mls.commit(chat, change, b"").unwrap();
        self.put(log, made, &[]);
        self.mls.apply(chat).unwrap();
        self.seq = log.entries.len() as u64;
    }

    fn put(&self, log: &mut Log, made: Made, welcomes: &[DeviceId]) {
        log.push(entry_id(), KIND_COMMIT, Some(self.me), Some(log.epoch), made.commit);
        log.group_info = made.group_info;
        log.epoch += 1;
        if let Some(welcome) = made.welcome {
            let at = log.push(entry_id(), KIND_WELCOME, Some(self.me), None, welcome);
            log.welcomed.extend(welcomes.iter().map(|device| (*device, at)));
        }
    }

    /// Founds a conversation with one of ours.
    fn founds(&mut self, kind: Kind, device: &mut Device) -> (ConversationId, Log) {
        let chat = ConversationId(rand::random());
        let charter = match kind {
            Kind::Direct => Charter::direct(),
            Kind::Group => Charter::group(self.me.account),
        };
        self.mls.create(chat, &charter).unwrap();
        let mut log = Log::default();
        let add = vec![package_of(device)];
        let made = self.mls.commit(chat, &Change { add, ..Change::default() }, b"").unwrap();
        self.put(&mut log, made, &[device.me().device]);
        self.mls.apply(chat).unwrap();
        self.seq = log.entries.len() as u64;
        assert!(texts(&device.sync(chat, &log)).is_empty());
        (chat, log)
    }

    fn says(&mut self, chat: ConversationId, log: &mut Log, body: &str) {
        self.follow(chat, log);
        let content = text(body);
        let sealed = self.mls.seal(chat, content.encode().unwrap().expose(), b"").unwrap();
        log.push(content.id, KIND_MESSAGE, Some(self.me), None, sealed);
        self.seq = log.entries.len() as u64;
    }

    /// Takes what is new in the log; gives the texts.
    fn follow(&mut self, chat: ConversationId, log: &Log) -> Vec<String> {
        let mut said = Vec::new();
        for entry in &log.entries[usize::try_from(self.seq).unwrap()..] {
            self.seq += 1;
            match entry.kind {
                KIND_COMMIT => assert!(!self.mls.process(chat, &entry.block).unwrap().out),
                KIND_MESSAGE => {
                    let opened = self.mls.open(chat, &entry.block).unwrap();
                    let leaves = self.mls.view(chat).unwrap().leaves;
                    assert_eq!(Some(leaves[&opened.sender].subject().device), entry.from.map(|who| who.device));
                    if let Body::Text(text) = Content::parse(&opened.plaintext, entry.entry).unwrap().body {
                        said.push(text.body);
                    }
                }
                _ => {}
            }
        }
        self.mls.view(chat).unwrap().check().unwrap();
        said
    }

    /// Joins by the Welcome of this number.
    fn joins(&mut self, chat: ConversationId, log: &Log, welcome: u64) {
        self.seq = welcome;
        let entry = &log.entries[usize::try_from(welcome - 1).unwrap()];
        self.mls.join(chat, &entry.block).unwrap();
        self.mls.view(chat).unwrap().check().unwrap();
    }

    fn leaf(&mut self, chat: ConversationId, device: DeviceId) -> u32 {
        let leaves = self.mls.view(chat).unwrap().leaves;
        *leaves.iter().find(|(_, leaf)| leaf.subject().device == device).unwrap().0
    }
}

/// The real clock: other implementations look at it.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn package_of(device: &mut Device) -> Vec<u8> {
    let Device { store, groups, .. } = device;
    store.write(|tx| groups.make_key_packages(tx, 1, false, now())).unwrap().remove(0)
}

/// One of ours commits.
fn commits(device: &mut Device, chat: ConversationId, log: &mut Log, intent: &Intent<'_>) {
    device.sync(chat, log);
    let Device { store, groups, .. } = device;
    store.write(|tx| groups.commit(tx, chat, intent, ids(), now())).unwrap();
    device.send(log);
    device.sync(chat, log);
}

/// One of ours founds a group with a stranger.
fn founds(device: &mut Device, stranger: &mut Stranger) -> (ConversationId, Log) {
    let chat = ConversationId(rand::random());
    let package = stranger.mls.key_package(false).unwrap();
    let invites = vec![Invite {
        account: stranger.me.account,
        key_package: &package,
    }];
    let Device { store, groups, .. } = &mut *device;
    let made = store.write(|tx| groups.create(tx, chat, Kind::Group, invites, ids(), now()));
    made.unwrap();
    let mut log = Log::default();
    device.send(&mut log);
    device.sync(chat, &log);
    let welcomed = log.welcomed[&stranger.me.device];
    stranger.joins(chat, &log, welcomed);
    (chat, log)
}

#[test]
fn keys_are_renewed_on_both_sides_and_both_read_on() {
    for implementation in MENDED {
        for kind in [Kind::Direct, Kind::Group] {
            let mut alice = Device::new("alice");
            let mut olga = Stranger::of(&Person::new("olga"), implementation);
            let (chat, mut log) = olga.founds(kind, &mut alice);
            for round in 0..3 {
                commits(&mut alice, chat, &mut log, &Intent::Renew);
                let (ours, theirs) = (format!("ours, round {round}"), format!("theirs, round {round}"));
                alice.say(chat, &ours);
                alice.send(&mut log);
                assert_eq!(olga.follow(chat, &log), [ours]);
                olga.commit(chat, &mut log, &Change::default());
                olga.says(chat, &mut log, &theirs);
                assert_eq!(texts(&alice.sync(chat, &log)), [theirs]);
            }
        }
    }
}

#[test]
fn openmls_sends_its_own_device_away_and_ts_mls_can_not() {
    for implementation in MENDED {
        let (mut alice, person) = (Device::new("alice"), Person::new("olga"));
        let mut olga = Stranger::of(&person, implementation);
        let (chat, mut log) = olga.founds(Kind::Group, &mut alice);
        let mut second = Stranger::of(&person, implementation);
        let package = second.mls.key_package(false).unwrap();
        let invite = Invite {
            account: person.account,
            key_package: &package,
        };
        commits(&mut alice, chat, &mut log, &Intent::Add(vec![invite]));
        olga.follow(chat, &log);

        let mut charter = olga.mls.view(chat).unwrap().charter;
        charter.send_away(second.me);
        let change = Change {
            remove: vec![olga.leaf(chat, second.me.device)],
            charter: Some(charter.clone()),
            ..Change::default()
        };
        olga.commit(chat, &mut log, &change);
        let what = alice.sync(chat, &log).pop().unwrap().what;
        let view = alice.store.read(|tx| alice.groups.view(tx, chat)).unwrap();
        match implementation {
            Implementation::OpenMls => assert_eq!((view.charter, view.members.len()), (charter, 2)),
            // It seals the path for the context with the old charter.
            _ => assert!(
                matches!(
                    &what,
                    What::Stranded {
                        cause: Stranding::Secrets(GroupError::Broken(_)),
                        ..
                    }
                ),
                "{what:?}"
            ),
        }
    }
}

#[test]
fn openmls_appoints_an_admin_and_ts_mls_does_not_as_it_leaves_the_path_out() {
    for implementation in MENDED {
        let mut alice = Device::new("alice");
        let mut olga = Stranger::of(&Person::new("olga"), implementation);
        let (chat, mut log) = olga.founds(Kind::Group, &mut alice);
        let mut charter = olga.mls.view(chat).unwrap().charter;
        charter.appoint(alice.me().account);
        let change = Change {
            charter: Some(charter),
            ..Change::default()
        };
        olga.commit(chat, &mut log, &change);
        let what = alice.sync(chat, &log).pop().unwrap().what;
        match implementation {
            Implementation::OpenMls => assert!(matches!(what, What::Commit { .. }), "{what:?}"),
            _ => assert!(
                matches!(
                    &what,
                    What::BadCommit {
                        cause: GroupError::Broken(_),
                        ..
                    }
                ),
                "{what:?}"
            ),
        }
    }
}

#[test]
fn our_device_comes_in_by_their_group_info_but_not_by_that_of_ts_mls_as_it_is() {
    let everybody = [Implementation::OpenMls, Implementation::TsMls, Implementation::TsMlsUnmended];
    for implementation in everybody {
        let person = Person::new("alice");
        let mut alice = Device::of(&person);
        let mut olga = Stranger::of(&Person::new("olga"), implementation);
        let (chat, mut log) = olga.founds(Kind::Group, &mut alice);
        let mut phone = Device::of(&person);
        if implementation == Implementation::TsMlsUnmended {
            let refused = phone.enter(chat, &log).unwrap_err();
            assert!(matches!(refused, Error::Group(GroupError::NoWayIn)), "{refused:?}");
            continue;
        }
        phone.comes_in(chat, &mut log);
        phone.say(chat, "here I am");
        phone.send(&mut log);
        assert_eq!(olga.follow(chat, &log), ["here I am"]);
        olga.says(chat, &mut log, "welcome");
        assert_eq!(texts(&phone.sync(chat, &log)), ["welcome"]);
        assert_eq!(texts(&alice.sync(chat, &log)), ["here I am", "welcome"]);
    }
}

#[test]
fn a_stranger_that_lost_its_group_takes_its_own_leafs_place() {
    for implementation in MENDED {
        let mut alice = Device::new("alice");
        let mut olga = Stranger::of(&Person::new("olga"), implementation);
        let (chat, mut log) = founds(&mut alice, &mut olga);
        let leaf = olga.leaf(chat, olga.me.device);
        let made = olga.mls.enter(chat, &log.group_info, true).unwrap();
        olga.put(&mut log, made, &[]);
        olga.mls.apply(chat).unwrap();
        olga.seq = log.entries.len() as u64;
        assert_eq!(olga.leaf(chat, olga.me.device), leaf);
        olga.says(chat, &mut log, "back again");
        assert_eq!(texts(&alice.sync(chat, &log)), ["back again"]);
        alice.say(chat, "so I see");
        alice.send(&mut log);
        assert_eq!(olga.follow(chat, &log), ["so I see"]);
    }
}

#[test]
fn a_stranger_that_ours_remove_is_out() {
    for implementation in MENDED {
        let mut alice = Device::new("alice");
        let mut olga = Stranger::of(&Person::new("olga"), implementation);
        let (chat, mut log) = founds(&mut alice, &mut olga);
        olga.follow(chat, &log);
        commits(&mut alice, chat, &mut log, &Intent::Remove(vec![olga.me.account]));
        let removal = log.entries.iter().rfind(|entry| entry.kind == KIND_COMMIT).unwrap();
        assert!(olga.mls.process(chat, &removal.block).unwrap().out);
        assert!(olga.mls.seal(chat, b"still here?", b"").is_err());
    }
}

#[test]
fn strangers_of_both_kinds_and_ours_share_one_group() {
    let mut alice = Device::new("alice");
    let mut olga = Stranger::of(&Person::new("olga"), Implementation::OpenMls);
    let mut timur = Stranger::of(&Person::new("timur"), Implementation::TsMls);
    let (chat, mut log) = olga.founds(Kind::Group, &mut alice);
    let add = vec![timur.mls.key_package(true).unwrap()];
    let made = olga.mls.commit(chat, &Change { add, ..Change::default() }, b"").unwrap();
    timur.mls.join(chat, made.welcome.as_deref().unwrap()).unwrap();
    olga.put(&mut log, made, &[]);
    olga.mls.apply(chat).unwrap();
    (olga.seq, timur.seq) = (log.entries.len() as u64, log.entries.len() as u64);
    timur.commit(chat, &mut log, &Change::default());
    timur.says(chat, &mut log, "from ts-mls");
    alice.sync(chat, &log);
    assert_eq!(olga.follow(chat, &log), ["from ts-mls"]);
    olga.commit(chat, &mut log, &Change::default());
    olga.says(chat, &mut log, "from OpenMLS");
    assert_eq!(timur.follow(chat, &log), ["from OpenMLS"]);
    assert_eq!(texts(&alice.sync(chat, &log)), ["from OpenMLS"]);
}
