//! What every bus does, as its users notice it: one suite, run on both.

use super::{Bus, BusEvent, BusMetrics, LINK_SILENCE, Message, mesh::Mesh, message::BLOCK_BYTES_BY_VALUE_MAX, nats::Nats};
use crate::{
    fleet_key::FleetKey,
    net::{
        door::{Door, DoorMetrics},
        transport::Transport,
    },
    store::logs::Entry,
};
use fastchat_wire::{
    EntryId, LogId, Secret32,
    control::{BusPlace, Peer},
};
use fastchatd_testing::NatsServer;
use prometheus::Registry;
use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// One server's end of a bus.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) events: mpsc::Receiver<BusEvent>,
    pub(super) metrics: BusMetrics,
    pub(super) shutdown: CancellationToken,
}

/// A kind of bus.
pub(super) trait Kind {
    fn new() -> Self;

    /// A member that has no peers yet; under a name that was there before, the next life of that one.
    async fn member(&mut self, name: &str) -> Member;

    /// The address that a member's peers have to be told.
    fn address(&self, name: &str) -> String;
}

pub(super) fn key() -> FleetKey {
    FleetKey::new(Secret32::new([5; 32]))
}

pub(super) fn metrics() -> BusMetrics {
    BusMetrics::register(&Registry::new()).unwrap()
}

/// The mesh, on loopback.
pub(super) struct OnMesh {
    addresses: HashMap<String, SocketAddr>,
}

impl Kind for OnMesh {
    fn new() -> Self {
        Self { addresses: HashMap::new() }
    }

    async fn member(&mut self, name: &str) -> Member {
        let address = self.addresses.get(name).copied().unwrap_or(([127, 0, 0, 1], 0).into());
        let listener = until(async || TcpListener::bind(address).await.ok()).await;
        self.addresses.insert(name.into(), listener.local_addr().unwrap());
        let (metrics, shutdown) = (metrics(), CancellationToken::new());
        let transport = Transport::default();
        let doors = DoorMetrics::register(&Registry::new(), "server", &["bus"]).unwrap();
        let door = Door::new(transport.acceptor(), &doors, "bus");
        let (bus, events) = Mesh::start(name.into(), key(), (listener, door), transport, metrics.clone(), shutdown.clone());
        Member {
            name: name.into(),
            bus,
            events,
            metrics,
            shutdown,
        }
    }

    fn address(&self, name: &str) -> String {
        self.addresses[name].to_string()
    }
}

/// NATS, a real server.
pub(super) struct OnNats {
    pub(super) broker: NatsServer,
}

impl OnNats {
    pub(super) fn member_by(name: &str, url: &str, key: &FleetKey) -> Member {
        let Ok(BusPlace::Nats(place)) = BusPlace::parse(url) else {
            panic!("no broker's URL: {url}")
        };
        let (metrics, shutdown) = (metrics(), CancellationToken::new());
        let (bus, events) = Nats::start(name.into(), "store.0", key, place, metrics.clone(), shutdown.clone());
        Member {
            name: name.into(),
            bus,
            events,
            metrics,
            shutdown,
        }
    }
}

impl Kind for OnNats {
    fn new() -> Self {
        Self {
            broker: NatsServer::start(),
        }
    }

    async fn member(&mut self, name: &str) -> Member {
        // Incarnations count by the ms.
        sleep(Duration::from_millis(2)).await;
        Self::member_by(name, &self.broker.url(), &key())
    }

    fn address(&self, _name: &str) -> String {
        String::new()
    }
}

/// Asks until there is an answer.
pub(super) async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, asking).await.expect("it never happened")
}

/// So many members that hear each other; what was told until then is taken.
async fn linked<K: Kind>(kind: &mut K, count: usize) -> Vec<Member> {
    let mut members = Vec::new();
    for number in 1..=count {
        members.push(kind.member(&format!("s{number}")).await);
    }
    acquaint(kind, &members);
    for member in &mut members {
        member.meets(count - 1).await;
    }
    members
}

/// Each is told of all the others.
fn acquaint<K: Kind>(kind: &K, members: &[Member]) {
    let peer = |member: &Member| Peer {
        name: member.name.clone(),
        address: kind.address(&member.name),
    };
    let peers: Vec<Peer> = members.iter().map(peer).collect();
    for member in members {
        Arc::clone(&member.bus).set_peers(&peers);
    }
}

impl Member {
    pub(super) async fn next(&mut self) -> BusEvent {
        timeout(PATIENCE, self.events.recv())
            .await
            .expect("nothing is told")
            .expect("the bus ended")
    }

    /// Waits until so many are heard and listen.
    pub(super) async fn meets(&mut self, count: usize) {
        let (mut heard, mut listening) = (0, 0);
        while heard < count || listening < count {
            match self.next().await {
                BusEvent::Hears(_) => heard += 1,
                BusEvent::Listening(..) => listening += 1,
                other => panic!("{}: {other:?}", self.name),
            }
        }
        until(async || self.bus.is_whole().then_some(())).await;
    }

    /// The next message, from whomever; nothing else is told before it.
    async fn message(&mut self) -> Message {
        match self.next().await {
            BusEvent::Message(_, message) => message,
            other => panic!("{}: {other:?}", self.name),
        }
    }

    /// Waits for an event; messages before it are passed over.
    pub(super) async fn waits_for(&mut self, wanted: BusEvent) {
        while self.next().await != wanted {}
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(super) fn bell(seq: u64) -> Message {
    Message::Bell {
        log: LogId([1; 16]),
        seq,
        members_seq: None,
    }
}

fn entry(seq: u64, bytes: usize) -> Message {
    Message::Entry {
        entry: Entry {
            log: LogId([1; 16]),
            seq,
            at: 8,
            kind: "app".into(),
            entry: EntryId([2; 16]),
            from: None,
            device: None,
            epoch: None,
            block: vec![b'x'; bytes].into(),
            welcome_to: [].into(),
        },
        members_seq: 5,
    }
}

async fn messages_arrive_in_order(mut kind: impl Kind) {
    let mut members = linked(&mut kind, 2).await;
    let [one, other] = &mut members[..] else { unreachable!() };
    for begin in [0, 2_000] {
        for n in begin..begin + 2_000 {
            one.bus.send("s2", &bell(n));
        }
        for n in begin..begin + 2_000 {
            assert_eq!(other.message().await, bell(n));
        }
    }
    assert_eq!(one.metrics.messages_out.get(), 4_000);
    assert_eq!(other.metrics.messages_in.get(), 4_000);
    assert_eq!(other.metrics.messages_lost.get(), 0);
}

async fn what_is_for_one_reaches_that_one_and_what_is_for_all_reaches_all(mut kind: impl Kind) {
    let mut members = linked(&mut kind, 4).await;
    members[0].bus.send("s2", &bell(1));
    members[0].bus.send("nobody", &bell(9));
    members[0].bus.send_each(&["s2", "s3"], &bell(2));
    assert_eq!([members[1].message().await, members[1].message().await], [bell(1), bell(2)]);
    assert_eq!(members[2].message().await, bell(2));
    members[0].bus.broadcast(&bell(3));
    for member in &mut members[1..] {
        assert_eq!(member.message().await, bell(3), "{}", member.name);
    }
    assert!(members[0].events.try_recv().is_err(), "not to itself");
}

async fn large_blocks_travel_by_reference(mut kind: impl Kind) {
    let mut members = linked(&mut kind, 2).await;
    members[0].bus.send("s2", &entry(7, BLOCK_BYTES_BY_VALUE_MAX));
    members[0].bus.send("s2", &entry(7, BLOCK_BYTES_BY_VALUE_MAX + 1));
    assert_eq!(members[1].message().await, entry(7, BLOCK_BYTES_BY_VALUE_MAX));
    let reference = Message::Bell {
        log: LogId([1; 16]),
        seq: 7,
        members_seq: Some(5),
    };
    assert_eq!(members[1].message().await, reference);
}

async fn who_ends_is_silent_and_deaf_and_the_others_are_not_whole(mut kind: impl Kind) {
    let mut members = linked(&mut kind, 3).await;
    let gone = members.pop().unwrap();
    gone.shutdown.cancel();
    gone.bus.stopped().await;
    for member in &mut members {
        let (mut silent, mut deaf) = (false, false);
        while !silent || !deaf {
            match member.next().await {
                BusEvent::Silent(name) => silent = name == "s3",
                BusEvent::Deaf(name, _) => deaf = name == "s3",
                other => panic!("{}: {other:?}", member.name),
            }
        }
        assert!(!member.bus.is_whole());
        assert_eq!(member.metrics.link_up.with_label_values(&["s3"]).get(), 0);
        assert_eq!(member.metrics.links_ended.get(), 1);
    }
    members[0].bus.broadcast(&bell(1));
    assert_eq!(members[1].message().await, bell(1), "the others go on");
}

async fn who_starts_again_is_heard_anew(mut kind: impl Kind) {
    let mut members = linked(&mut kind, 2).await;
    for life in 1..=2 {
        let former = members.pop().unwrap();
        former.shutdown.cancel();
        former.bus.stopped().await;
        drop(former);
        members.push(kind.member("s2").await);
        acquaint(&kind, &members);
        members[1].meets(1).await;
        members[0].waits_for(BusEvent::Silent("s2".into())).await;
        members[0].waits_for(BusEvent::Hears("s2".into())).await;
        until(async || members[0].bus.is_whole().then_some(())).await;
        members[0].bus.send("s2", &bell(life));
        assert_eq!(members[1].message().await, bell(life));
        members[1].bus.send("s1", &bell(life));
        members[0].waits_for(BusEvent::Message("s2".into(), bell(life))).await;
    }
}

async fn who_leaves_the_spec_is_sent_nothing_and_may_come_back(mut kind: impl Kind) {
    let mut members = linked(&mut kind, 2).await;
    for member in &members {
        Arc::clone(&member.bus).set_peers(&[]);
        assert!(member.bus.is_whole(), "nobody is missing");
    }
    let (mut silent, mut deaf) = (false, false);
    while !silent || !deaf {
        match members[1].next().await {
            BusEvent::Silent(_) => silent = true,
            BusEvent::Deaf(..) => deaf = true,
            other => panic!("{other:?}"),
        }
    }
    members[0].bus.broadcast(&bell(1));
    acquaint(&kind, &members);
    until(async || members.iter().all(|member| member.bus.is_whole()).then_some(())).await;
    members[0].bus.broadcast(&bell(2));
    loop {
        match members[1].next().await {
            BusEvent::Message(_, message) => {
                assert_eq!(message, bell(2), "the first was for nobody");
                break;
            }
            // What was on its way when it left may say so once more.
            BusEvent::Hears(_) | BusEvent::Listening(..) | BusEvent::Silent(_) | BusEvent::Deaf(..) => {}
            BusEvent::Gap(peer) => panic!("something of {peer} was lost"),
        }
    }
}

/// Nothing of the bus runs while this test sends: its queue fills up.
async fn what_does_not_fit_is_dropped_and_counted_and_shows_as_a_gap(mut kind: impl Kind) {
    const SENT: u64 = 600;
    let mut members = linked(&mut kind, 2).await;
    let [one, other] = &mut members[..] else { unreachable!() };
    for n in 1..=SENT {
        one.bus.send("s2", &entry(n, BLOCK_BYTES_BY_VALUE_MAX));
    }
    let dropped = one.metrics.messages_dropped.get();
    assert!(dropped > 0 && dropped < SENT, "{dropped}");
    let (mut came, mut last, mut gap) = (0, 0, false);
    while came + dropped < SENT || !gap {
        match other.next().await {
            BusEvent::Message(_, Message::Entry { entry, .. }) => {
                assert!(entry.seq > last, "in order");
                last = entry.seq;
                came += 1;
            }
            BusEvent::Gap(_) => gap = true,
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(other.metrics.messages_lost.get(), dropped);
    one.bus.send("s2", &bell(SENT + 1));
    assert_eq!(other.message().await, bell(SENT + 1), "and goes on");
}

async fn nothing_is_told_while_all_is_quiet(mut kind: impl Kind) {
    let mut members = linked(&mut kind, 3).await;
    sleep(LINK_SILENCE * 2).await;
    for member in &mut members {
        assert!(member.events.try_recv().is_err(), "{}", member.name);
        assert!(member.bus.is_whole());
    }
}

macro_rules! suite {
    ($name:ident: $kind:ty; $($test:ident)*) => {
        mod $name {
            use super::Kind;
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(<$kind>::new()).await;
                }
            )*
        }
    };
    ($($test:ident)*) => {
        suite! { mesh: super::OnMesh; $($test)* }
        suite! { nats: super::OnNats; $($test)* }
    };
}

suite! {
    messages_arrive_in_order
    what_is_for_one_reaches_that_one_and_what_is_for_all_reaches_all
    large_blocks_travel_by_reference
    who_ends_is_silent_and_deaf_and_the_others_are_not_whole
    who_starts_again_is_heard_anew
    who_leaves_the_spec_is_sent_nothing_and_may_come_back
    what_does_not_fit_is_dropped_and_counted_and_shows_as_a_gap
    nothing_is_told_while_all_is_quiet
}
